// Products of a few rows with a large matrix, as in generating text: a matter of reading the matrix
// once.
#pragma once

#include <cstdint>

namespace folio::cpu {

/// Up to so many rows gemm() multiplies in this way.
inline constexpr int64_t most_few_rows = 16;

/// C (m, n) = alpha A B^T + beta C on the calling thread: A is (m, k) and B (n, k), their rows and
/// C's lda, ldb and ldc apart. With beta 0, C is not read. An element is a dot product whose bits
/// depend on its two rows alone, not on m or n.
void few_rows_gemm(int64_t m, int64_t n, int64_t k, float alpha, const float* a, int64_t lda,
                   const float* b, int64_t ldb, float beta, float* c, int64_t ldc);
void few_rows_gemm(int64_t m, int64_t n, int64_t k, double alpha, const double* a, int64_t lda,
                   const double* b, int64_t ldb, double beta, double* c, int64_t ldc);

}  // namespace folio::cpu
