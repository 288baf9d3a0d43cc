// A matrix product: what is multiplied, and how the matrices lie in memory.
#pragma once

#include <compare>
#include <cstdint>

#include "folio/kernels/grad_target.h"

namespace folio {

/// `count` products C = op(A) op(B), or C += op(A) op(B) if `accumulate` is set, of row-major
/// matrices. op(A) is (m, k), op(B) is (k, n) and C is (m, n); op transposes if asked. A and B have
/// the type `values` and C has the type `result`: f32 gives f32, f64 gives f64, and bf16 gives bf16
/// or f32, with sums in f32.
struct MatrixProduct {
  DType values = DType::f32, result = DType::f32;
  bool transpose_a = false, transpose_b = false, accumulate = false;
  int64_t m = 0, n = 0, k = 0, count = 1;
  int64_t lda = 0, ldb = 0, ldc = 0;  // elements from one row in memory to the next
  // Elements from one matrix to the next; 0 uses one matrix for every product.
  int64_t stride_a = 0, stride_b = 0, stride_c = 0;

  auto operator<=>(const MatrixProduct&) const = default;

  /// Multiplications and additions.
  double flops() const { return 2.0 * static_cast<double>(m * n * k) * static_cast<double>(count); }
  /// The same product of matrices that lie in memory without gaps.
  MatrixProduct dense() const;

  // The offsets of op(A)'s row, op(B)'s column and an element of C, in elements.
  int64_t offset_a(int64_t row) const { return transpose_a ? row : row * lda; }
  int64_t offset_b(int64_t column) const { return transpose_b ? column * ldb : column; }
  int64_t offset_c(int64_t row, int64_t column) const { return row * ldc + column; }
};

/// The products that Kernels::matmul computes for these arguments.
MatrixProduct matmul_product(const GradTarget& c, const Tensor& a, bool transpose_a,
                             const Tensor& b, bool transpose_b);

/// The product y = x weight^T of Kernels::linear_forward.
MatrixProduct linear_product(const Tensor& y, const Tensor& x, const Tensor& weight);

}  // namespace folio
