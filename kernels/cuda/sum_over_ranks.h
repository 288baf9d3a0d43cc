// The kernel sum_over_ranks on any stream: comm/nccl.cpp adds on the stream that it receives on.
#pragma once

#include <cstdint>

#include "folio/kernels/grad_target.h"
#include "folio/tensor/cuda.h"

namespace folio::cuda {

/// See kernel_list.h. The caller orders `stream` with other work that uses these tensors.
void sum_over_ranks(GradTarget y, const Tensor& own, int64_t rank, const Tensor& received,
                    int64_t count, CUstream_st* stream);

}  // namespace folio::cuda
