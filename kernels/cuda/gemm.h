// Row-major matrix products through cuBLASLt: an algorithm a shape, chosen once and kept.
#pragma once

#include <compare>
#include <cstdint>

#include "folio/tensor/dtype.h"

namespace folio::cuda {

/// `count` products c (m, n) = op(a) op(b), op(a) (m, k) and op(b) (k, n); the c's lie below one
/// another. m, n, k and count are at least 1.
struct GemmShape {
  int64_t m = 0, n = 0, k = 0;
  bool transpose_a = false, transpose_b = false;
  int64_t lda = 0, ldb = 0;  // elements from one row of a (b) in memory to the next
  int64_t count = 1;
  int64_t step_a = 0, step_b = 0;  // elements from one a (b) to the next; 0: one serves all
  DType in = DType::f32, out = DType::f32;  // bf16 gives bf16 or f32, f32 gives f32

  auto operator<=>(const GemmShape&) const = default;
};

/// What is done to a product before it is written, in f32.
struct GemmEpilogue {
  const void* bias = nullptr;   // (n), of c's type: added to every row
  bool gelu = false;            // then GELU, its tanh form
  void* before_gelu = nullptr;  // as c: receives what GELU is given, unless null
};

/// c = or += op(a) op(b), summed in f32 in an order that depends on shapes alone (of one GPU and
/// one version of the library). Put on the compute stream. Returns false, and has done nothing,
/// where the library offers nothing for such an epilogue; throws Error where it has no product at
/// all.
bool gemm(const GemmShape& shape, const void* a, const void* b, bool accumulate, void* c,
          const GemmEpilogue& epilogue = {});

/// Bytes of the GPU's memory that products keep for themselves from the first one on: what NVIDIA
/// advises for compute capability 9.0, in cublasSetWorkspace's documentation.
inline constexpr int64_t gemm_workspace_bytes = int64_t{32} << 20;

}  // namespace folio::cuda
