// The one matrix product beneath all others.
#pragma once

#include <cstdint>
#include <functional>

#include "folio/tensor/bf16.h"

namespace folio::cpu {

/// What is done to a part of C when it is finished, on the thread that made it and while it is in
/// its cache: `rows` rows from `row` on, `columns` columns from `column` on.
using PartDone = std::function<void(int64_t row, int64_t rows, int64_t column, int64_t columns)>;

/// Row-major C (m, n) = alpha op(A) op(B) + beta C; op transposes where asked. A is (m, k) or,
/// transposed, (k, m) in memory; lda, ldb, ldc are the lengths of a row in memory. With beta 0, C
/// is not read. f32 goes to oneDNN where it was built in; f64, and f32 otherwise, to Eigen; A B^T
/// with few rows of A to few_rows.h.
/// Called outside a parallel region it uses all threads; inside one, the calling thread alone.
void gemm(bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t k, float alpha,
          const float* a, int64_t lda, const float* b, int64_t ldb, float beta, float* c,
          int64_t ldc, const PartDone& done = {});
void gemm(bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t k, double alpha,
          const double* a, int64_t lda, const double* b, int64_t ldb, double beta, double* c,
          int64_t ldc, const PartDone& done = {});

/// C (m, n) = op(A) op(B), or C += it, of bf16 with sums in f32; the rest as above. oneDNN where it
/// and multiplies_bf16() serve, otherwise the f32 product of the widened operands.
void gemm(bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t k, const bf16* a,
          int64_t lda, const bf16* b, int64_t ldb, bool accumulate, bf16* c, int64_t ldc,
          const PartDone& done = {});
void gemm(bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t k, const bf16* a,
          int64_t lda, const bf16* b, int64_t ldb, bool accumulate, float* c, int64_t ldc);

/// Whether this CPU multiplies bf16 itself, through oneDNN, as far as FOLIO_ISA allows.
bool multiplies_bf16();

}  // namespace folio::cpu
