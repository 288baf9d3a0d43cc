// Matrix products as the library beneath ours computes them by itself: what ours are measured
// against. Nothing that trains calls this.
#pragma once

#include <cstdint>

#include "folio/tensor/tensor.h"

namespace folio {

/// C (m, n) = op(A) op(B), or C += it; `count` of them, of separate matrices. A and B are f32 or
/// bf16, C is f32, or bf16 where they are.
struct MatrixProduct {
  DType values = DType::f32, result = DType::f32;
  bool transpose_a = false, transpose_b = false, accumulate = false;
  int64_t m = 0, n = 0, k = 0, count = 1;

  auto operator<=>(const MatrixProduct&) const = default;
  /// Multiplications and additions.
  double flops() const { return 2.0 * static_cast<double>(m * n * k) * static_cast<double>(count); }
};

/// Computes it with dnnl_sgemm, or in bf16 with oneDNN's matmul. A single product is one call,
/// which shares its work among threads as oneDNN sees fit; several are shared among the threads
/// whole. a, b and c hold count dense matrices each. Without oneDNN there is no library to compare
/// with, and it is our own gemm.
void library_product(const MatrixProduct& product, const Tensor& a, const Tensor& b,
                     const Tensor& c);

}  // namespace folio
