// Matrix products of the small blocks that attention consists of.
#pragma once

#include <cstdint>

namespace folio::cpu {

/// C (m, n) = A B, or C += it, on the calling thread, with no packing: A is read where it lies, its
/// element (i, p) at a[i * row_stride + p * inner_stride] (so A may be transposed); B is (k, n)
/// with rows `ldb` apart, C (m, n) with rows `ldc` apart. With k = 0 the product is 0. Fastest
/// where n is a multiple of 32 and B fits in the second cache.
void block_gemm(int64_t m, int64_t n, int64_t k, const float* a, int64_t row_stride,
                int64_t inner_stride, const float* b, int64_t ldb, bool accumulate, float* c,
                int64_t ldc);
void block_gemm(int64_t m, int64_t n, int64_t k, const double* a, int64_t row_stride,
                int64_t inner_stride, const double* b, int64_t ldb, bool accumulate, double* c,
                int64_t ldc);

/// y (columns, rows) = the transpose of x (rows, columns); rows of x are ldx apart, of y ldy.
void block_transpose(int64_t rows, int64_t columns, const float* x, int64_t ldx, float* y,
                     int64_t ldy);
void block_transpose(int64_t rows, int64_t columns, const double* x, int64_t ldx, double* y,
                     int64_t ldy);

}  // namespace folio::cpu
