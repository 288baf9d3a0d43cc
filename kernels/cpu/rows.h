// What attention does with rows of scores between its matrix products, on the calling thread.
// Arrays passed as void* are of type `dtype`, f32 or f64; bf16 is widened first.
#pragma once

#include <cstdint>

#include "folio/tensor/dtype.h"
#include "folio/tensor/random.h"

namespace folio::cpu {

/// Replaces scores by softmax(scale * scores) in `rows` rows of `columns`, which are `stride`
/// elements apart. Only the first visible[r] scores of row r count; the others become 0. log_sum[r]
/// becomes the logarithm of the sum of exp(scale * scores). Scores of -infinity are hidden too; if
/// every score of a row is hidden, the row and log_sum[r] become 0.
void exp_rows(DType dtype, void* scores, int64_t rows, int64_t columns, int64_t stride,
              const int64_t* visible, double scale, void* log_sum);

/// Computes the same probabilities again, from the log_sum that exp_rows() returned.
void recompute_rows(DType dtype, void* scores, int64_t rows, int64_t columns, int64_t stride,
                    const int64_t* visible, double scale, const void* log_sum);

/// dp = p (dp - delta[r]) scale, in place; p has the stride of dp.
void softmax_backward_rows(DType dtype, void* dp, const void* p, int64_t rows, int64_t columns,
                           int64_t stride, const void* delta, double scale);

/// y = x * mask.scale() where the mask keeps an element, else 0. Element i has number first_index +
/// i in the mask's stream; mask.first_index is not added. y may be x.
void dropout_row(DType dtype, void* y, const void* x, int64_t n, const DropoutMask& mask,
                 uint64_t first_index);

/// dots[r] = the dot product of row r of a and row r of b, over n columns.
void dot_rows(DType dtype, void* dots, const void* a, int64_t stride_a, const void* b,
              int64_t stride_b, int64_t rows, int64_t n);

/// y (rows, columns), dense, = x, whose rows are `stride` elements apart.
void widen_rows(float* y, const bf16* x, int64_t rows, int64_t columns, int64_t stride);
/// y, of type `dtype` (bf16 or f32), whose rows are `stride` elements apart, = or += x, which is
/// dense.
void round_rows(DType dtype, void* y, bool accumulate, const float* x, int64_t rows,
                int64_t columns, int64_t stride);

}  // namespace folio::cpu
