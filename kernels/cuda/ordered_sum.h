// Sums over ranks on the GPU, element by element in the order of the ranks: the bits of
// comm/ordered_sum.h.
#pragma once

#include "folio/tensor/cuda.h"
#include "folio/tensor/tensor.h"

namespace folio::cuda {

/// What `count` ranks, from number 0 on, bring to a sum: arrays of the sum's size and type.
struct Brought {
  const void* own = nullptr;  // of rank number `rank`, which may be the sum's own memory
  int rank = 0;
  const void* received = nullptr;  // of the others: rank r's is the r-th array there
  int count = 0;
};

/// sum = or += ((x0 + x1) + x2) + ..., any type; bf16 is added in f32 and rounded once. Of nothing
/// an overwritten sum is 0. On `stream`, which nothing else of the tensor's may overtake.
void ordered_sum(GradTarget sum, const Brought& brought, CUstream_st* stream);

}  // namespace folio::cuda
