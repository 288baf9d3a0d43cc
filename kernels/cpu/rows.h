// Work on a few rows by the calling thread alone: the parts of attention between its matrix
// products. Each function exists for float and double; bf16 is widened first.
#pragma once

#include <cstdint>

#include "folio/tensor/bf16.h"
#include "folio/tensor/random.h"

namespace folio::cpu {

/// For each of `rows` rows of `columns` scores, `stride` apart, of which the first visible[r]
/// count: scores become softmax(scale * scores), 0 beyond the visible ones; log_sum[r] becomes the
/// logarithm of the sum of exp(scale * scores). A score of -infinity is not seen either; where
/// nothing is seen, the row and log_sum[r] become 0.
void exp_rows(float* scores, int64_t rows, int64_t columns, int64_t stride, const int64_t* visible,
              float scale, float* log_sum);
void exp_rows(double* scores, int64_t rows, int64_t columns, int64_t stride, const int64_t* visible,
              double scale, double* log_sum);

/// The same probabilities again, from the log_sum that exp_rows gave.
void recompute_rows(float* scores, int64_t rows, int64_t columns, int64_t stride,
                    const int64_t* visible, float scale, const float* log_sum);
void recompute_rows(double* scores, int64_t rows, int64_t columns, int64_t stride,
                    const int64_t* visible, double scale, const double* log_sum);

/// dp = p (dp - delta[r]) scale, in place; p has dp's stride.
void softmax_backward_rows(float* dp, const float* p, int64_t rows, int64_t columns, int64_t stride,
                           const float* delta, float scale);
void softmax_backward_rows(double* dp, const double* p, int64_t rows, int64_t columns,
                           int64_t stride, const double* delta, double scale);

/// y = x where the mask keeps, times its scale, 0 elsewhere; element i is number first_index + i
/// of the mask's stream (mask.first_index is not added). y may be x.
void dropout_row(float* y, const float* x, int64_t n, const DropoutMask& mask,
                 uint64_t first_index);
void dropout_row(double* y, const double* x, int64_t n, const DropoutMask& mask,
                 uint64_t first_index);

/// rows x columns elements without gaps, from x, whose rows are `stride` apart.
void widen_rows(float* y, const bf16* x, int64_t rows, int64_t columns, int64_t stride);
/// y, whose rows are `stride` apart, = or += x, which has no gaps.
void round_rows(bf16* y, bool accumulate, const float* x, int64_t rows, int64_t columns,
                int64_t stride);
void round_rows(float* y, bool accumulate, const float* x, int64_t rows, int64_t columns,
                int64_t stride);

/// dots[r] = the sum over n columns of a b, for rows that are stride_a and stride_b apart.
void dot_rows(float* dots, const float* a, int64_t stride_a, const float* b, int64_t stride_b,
              int64_t rows, int64_t n);
void dot_rows(double* dots, const double* a, int64_t stride_a, const double* b, int64_t stride_b,
              int64_t rows, int64_t n);

}  // namespace folio::cpu
