#include "folio/kernels/matrix_product.h"

namespace folio {
namespace {

/// The number of matrices in a (..., rows, columns) tensor.
int64_t matrices(const Tensor& x) {
  int64_t count = 1;
  for (int axis = 0; axis + 2 < x.shape().rank(); ++axis) count *= x.dim(axis);
  return count;
}

}  // namespace

MatrixProduct MatrixProduct::dense() const {
  MatrixProduct p = *this;
  p.lda = transpose_a ? m : k;
  p.ldb = transpose_b ? k : n;
  p.ldc = n;
  p.stride_a = m * k;
  p.stride_b = k * n;
  p.stride_c = m * n;
  return p;
}

MatrixProduct matmul_product(const GradTarget& c, const Tensor& a, bool transpose_a,
                             const Tensor& b, bool transpose_b) {
  MatrixProduct p{.values = a.dtype(),
                  .result = c.tensor->dtype(),
                  .transpose_a = transpose_a,
                  .transpose_b = transpose_b,
                  .accumulate = c.accumulate,
                  .m = a.dim(transpose_a ? -1 : -2),
                  .n = b.dim(transpose_b ? -2 : -1),
                  .k = a.dim(transpose_a ? -2 : -1),
                  .lda = a.dim(-1),
                  .ldb = b.dim(-1)};
  p.ldc = p.n;
  const int64_t leading = matrices(a);
  const bool one_b = b.shape().rank() == 2;
  if (matrices(*c.tensor) != leading) {
    p.k *= leading;  // the leading dimensions that c lacks extend the inner dimension
  } else if (one_b && !transpose_a) {
    p.m *= leading;  // every a uses the same b, so they are one matrix with more rows
  } else {
    p.count = leading;
    p.stride_a = a.dim(-2) * a.dim(-1);
    p.stride_b = one_b ? 0 : b.dim(-2) * b.dim(-1);
    p.stride_c = p.m * p.n;
  }
  return p;
}

MatrixProduct linear_product(const Tensor& y, const Tensor& x, const Tensor& weight) {
  return {.values = x.dtype(),
          .result = y.dtype(),
          .transpose_b = true,
          .m = x.shape().rows(),
          .n = weight.dim(0),
          .k = weight.dim(1),
          .lda = weight.dim(1),
          .ldb = weight.dim(1),
          .ldc = weight.dim(0)};
}

}  // namespace folio
