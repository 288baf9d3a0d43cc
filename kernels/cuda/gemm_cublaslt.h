// Row-major matrix products through cuBLASLt. The algorithm is chosen once per shape and cached.
#pragma once

#include <cstdint>

#include "folio/kernels/matrix_product.h"

namespace folio::cuda {

/// What is applied to a product before it is written, in f32.
struct GemmEpilogue {
  const void* bias = nullptr;   // (n), of c's type: added to every row
  bool gelu = false;            // then GELU, in its tanh form
  void* before_gelu = nullptr;  // like c: receives the input of GELU, unless null
};

/// Computes the product on the compute stream, with sums in f32 in an order that depends only on
/// the shape (for one GPU and one version of the library). Returns false without doing anything if
/// the library does not support the epilogue; throws Error if it does not support the product at
/// all.
bool cublaslt_gemm(const MatrixProduct& product, const void* a, const void* b, void* c,
                   const GemmEpilogue& epilogue = {});

/// The bytes of device memory that products keep as workspace from the first one on: NVIDIA's
/// recommendation for compute capability 9.0, in the documentation of cublasSetWorkspace.
inline constexpr int64_t gemm_workspace_bytes = int64_t{32} << 20;

}  // namespace folio::cuda
