#include "folio/kernels/cpu/rows.h"

#include <cmath>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "folio/kernels/cpu/rows.cpp"
#include <hwy/foreach_target.h>

#include "folio/kernels/cpu/random-inl.h"
#include "folio/kernels/cpu/softmax-inl.h"
#include "folio/kernels/cpu/vector-inl.h"

HWY_BEFORE_NAMESPACE();
namespace folio::cpu::HWY_NAMESPACE {
namespace {

struct AddLog {
  template <class D, class V>
  HWY_INLINE V operator()(D d, V max, V sum) const {
    return hn::Add(max, log_any(d, sum));
  }
};

/// Of `n` scores, ready for exp_row: the factor that is left. fma(scale, score, -shift) rounds once
/// where shift itself was rounded before; near 1e10 the two differ by hundreds, so that a row's
/// highest score may become 0 or infinite. There the row is scaled first, which rounds alike.
template <class T>
HWY_INLINE T scale_left(T* row, int64_t n, T scale, T shift) {
  if (std::abs(shift) < T(1e6)) return scale;
  map_vectors<false>(row, n, Scaled<T>{scale}, static_cast<const T*>(row));
  return T{1};
}

template <class T>
HWY_INLINE void exp_all(T* scores, int64_t rows, int64_t columns, int64_t stride,
                        const int64_t* visible, T scale, T* log_sum) {
  constexpr T infinity = std::numeric_limits<T>::infinity();
  const int64_t lanes = lanes_of(hn::ScalableTag<T>());
  // The logarithms are taken of many rows at a time.
  constexpr int64_t block = 64;
  T max[block], sum[block];
  for (int64_t first = 0; first < rows; first += block) {
    const int64_t count = std::min(block, rows - first);
    T* const block_scores = scores + first * stride;
    for (int64_t i = 0; i < count; ++i) {
      max[i] = max_vectors(block_scores + i * stride, visible[first + i], scale);
    }
    for (int64_t i = 0; i < count; ++i) {
      T* row = block_scores + i * stride;
      if (max[i] == -infinity) {
        std::fill(row, row + columns, T{0});
        max[i] = T{0};
        sum[i] = T{1};
      } else {
        const int64_t n = visible[first + i];
        const T factor = scale_left(row, n, scale, max[i]);
        sum[i] = static_cast<T>(exp_row(row, row, n, columns, factor, max[i]));
      }
    }
    for (int64_t i = 0; i < count; ++i) {
      // To the end of a vector where the row goes on: whole vectors are quicker than parts.
      const int64_t rounded = std::min(columns, (visible[first + i] + lanes - 1) / lanes * lanes);
      map_vectors<false>(block_scores + i * stride, rounded, Scaled<T>{T{1} / sum[i]},
                         static_cast<const T*>(block_scores + i * stride));
    }
    map_vectors<false>(log_sum + first, count, AddLog(), static_cast<const T*>(max),
                       static_cast<const T*>(sum));
  }
}

template <class T>
HWY_INLINE void recompute_all(T* scores, int64_t rows, int64_t columns, int64_t stride,
                              const int64_t* visible, T scale, const T* log_sum) {
  for (int64_t r = 0; r < rows; ++r) {
    T* row = scores + r * stride;
    const T factor = scale_left(row, visible[r], scale, log_sum[r]);
    exp_row(row, row, visible[r], columns, factor, log_sum[r]);
  }
}

template <class T>
struct SoftmaxBackward {
  T delta, scale;
  template <class D, class V>
  HWY_INLINE V operator()(D d, V dp, V p) const {
    return hn::Mul(hn::Mul(p, hn::Set(d, scale)), hn::Sub(dp, hn::Set(d, delta)));
  }
};

template <class T>
HWY_INLINE void backward_all(T* dp, const T* p, int64_t rows, int64_t columns, int64_t stride,
                             const T* delta, T scale) {
  for (int64_t r = 0; r < rows; ++r) {
    T* row = dp + r * stride;
    map_vectors<false>(row, columns, SoftmaxBackward<T>{delta[r], scale}, row, p + r * stride);
  }
}

void exp_f32(float* scores, int64_t rows, int64_t columns, int64_t stride, const int64_t* visible,
             float scale, float* log_sum) {
  exp_all(scores, rows, columns, stride, visible, scale, log_sum);
}
void exp_f64(double* scores, int64_t rows, int64_t columns, int64_t stride, const int64_t* visible,
             double scale, double* log_sum) {
  exp_all(scores, rows, columns, stride, visible, scale, log_sum);
}
void recompute_f32(float* scores, int64_t rows, int64_t columns, int64_t stride,
                   const int64_t* visible, float scale, const float* log_sum) {
  recompute_all(scores, rows, columns, stride, visible, scale, log_sum);
}
void recompute_f64(double* scores, int64_t rows, int64_t columns, int64_t stride,
                   const int64_t* visible, double scale, const double* log_sum) {
  recompute_all(scores, rows, columns, stride, visible, scale, log_sum);
}
void backward_f32(float* dp, const float* p, int64_t rows, int64_t columns, int64_t stride,
                  const float* delta, float scale) {
  backward_all(dp, p, rows, columns, stride, delta, scale);
}
void backward_f64(double* dp, const double* p, int64_t rows, int64_t columns, int64_t stride,
                  const double* delta, double scale) {
  backward_all(dp, p, rows, columns, stride, delta, scale);
}
void dropout_f32(float* y, const float* x, int64_t n, const DropoutMask& mask, uint64_t first) {
  dropout_vectors(y, x, n, mask, first);
}
void dropout_f64(double* y, const double* x, int64_t n, const DropoutMask& mask, uint64_t first) {
  dropout_vectors(y, x, n, mask, first);
}
void widen_f32(float* y, const bf16* x, int64_t rows, int64_t columns, int64_t stride) {
  for (int64_t r = 0; r < rows; ++r) {
    map_vectors<false>(y + r * columns, columns, Identity(), x + r * stride);
  }
}
void round_bf16(bf16* y, bool accumulate, const float* x, int64_t rows, int64_t columns,
                int64_t stride) {
  for (int64_t r = 0; r < rows; ++r) {
    map_vectors(accumulate, y + r * stride, columns, Identity(), x + r * columns);
  }
}
void round_f32(float* y, bool accumulate, const float* x, int64_t rows, int64_t columns,
               int64_t stride) {
  for (int64_t r = 0; r < rows; ++r) {
    map_vectors(accumulate, y + r * stride, columns, Identity(), x + r * columns);
  }
}
void dot_f32(float* dots, const float* a, int64_t stride_a, const float* b, int64_t stride_b,
             int64_t rows, int64_t n) {
  for (int64_t r = 0; r < rows; ++r) {
    dots[r] =
        static_cast<float>(sum_vectors<float>(n, Product(), a + r * stride_a, b + r * stride_b));
  }
}
void dot_f64(double* dots, const double* a, int64_t stride_a, const double* b, int64_t stride_b,
             int64_t rows, int64_t n) {
  for (int64_t r = 0; r < rows; ++r) {
    dots[r] =
        static_cast<double>(sum_vectors<double>(n, Product(), a + r * stride_a, b + r * stride_b));
  }
}

}  // namespace
}  // namespace folio::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace folio::cpu {

HWY_EXPORT(exp_f32);
HWY_EXPORT(exp_f64);
HWY_EXPORT(recompute_f32);
HWY_EXPORT(recompute_f64);
HWY_EXPORT(backward_f32);
HWY_EXPORT(backward_f64);
HWY_EXPORT(dropout_f32);
HWY_EXPORT(dropout_f64);
HWY_EXPORT(widen_f32);
HWY_EXPORT(round_bf16);
HWY_EXPORT(round_f32);
HWY_EXPORT(dot_f32);
HWY_EXPORT(dot_f64);

void exp_rows(float* scores, int64_t rows, int64_t columns, int64_t stride, const int64_t* visible,
              float scale, float* log_sum) {
  HWY_DYNAMIC_DISPATCH(exp_f32)(scores, rows, columns, stride, visible, scale, log_sum);
}
void exp_rows(double* scores, int64_t rows, int64_t columns, int64_t stride, const int64_t* visible,
              double scale, double* log_sum) {
  HWY_DYNAMIC_DISPATCH(exp_f64)(scores, rows, columns, stride, visible, scale, log_sum);
}

void recompute_rows(float* scores, int64_t rows, int64_t columns, int64_t stride,
                    const int64_t* visible, float scale, const float* log_sum) {
  HWY_DYNAMIC_DISPATCH(recompute_f32)(scores, rows, columns, stride, visible, scale, log_sum);
}
void recompute_rows(double* scores, int64_t rows, int64_t columns, int64_t stride,
                    const int64_t* visible, double scale, const double* log_sum) {
  HWY_DYNAMIC_DISPATCH(recompute_f64)(scores, rows, columns, stride, visible, scale, log_sum);
}

void softmax_backward_rows(float* dp, const float* p, int64_t rows, int64_t columns, int64_t stride,
                           const float* delta, float scale) {
  HWY_DYNAMIC_DISPATCH(backward_f32)(dp, p, rows, columns, stride, delta, scale);
}
void softmax_backward_rows(double* dp, const double* p, int64_t rows, int64_t columns,
                           int64_t stride, const double* delta, double scale) {
  HWY_DYNAMIC_DISPATCH(backward_f64)(dp, p, rows, columns, stride, delta, scale);
}

void dropout_row(float* y, const float* x, int64_t n, const DropoutMask& mask,
                 uint64_t first_index) {
  HWY_DYNAMIC_DISPATCH(dropout_f32)(y, x, n, mask, first_index);
}
void dropout_row(double* y, const double* x, int64_t n, const DropoutMask& mask,
                 uint64_t first_index) {
  HWY_DYNAMIC_DISPATCH(dropout_f64)(y, x, n, mask, first_index);
}

void widen_rows(float* y, const bf16* x, int64_t rows, int64_t columns, int64_t stride) {
  HWY_DYNAMIC_DISPATCH(widen_f32)(y, x, rows, columns, stride);
}

void round_rows(bf16* y, bool accumulate, const float* x, int64_t rows, int64_t columns,
                int64_t stride) {
  HWY_DYNAMIC_DISPATCH(round_bf16)(y, accumulate, x, rows, columns, stride);
}
void round_rows(float* y, bool accumulate, const float* x, int64_t rows, int64_t columns,
                int64_t stride) {
  HWY_DYNAMIC_DISPATCH(round_f32)(y, accumulate, x, rows, columns, stride);
}

void dot_rows(float* dots, const float* a, int64_t stride_a, const float* b, int64_t stride_b,
              int64_t rows, int64_t n) {
  HWY_DYNAMIC_DISPATCH(dot_f32)(dots, a, stride_a, b, stride_b, rows, n);
}
void dot_rows(double* dots, const double* a, int64_t stride_a, const double* b, int64_t stride_b,
              int64_t rows, int64_t n) {
  HWY_DYNAMIC_DISPATCH(dot_f64)(dots, a, stride_a, b, stride_b, rows, n);
}

}  // namespace folio::cpu
#endif
