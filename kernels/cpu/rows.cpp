#include "folio/kernels/cpu/rows.h"

#include <algorithm>
#include <cmath>
#include <limits>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "folio/kernels/cpu/rows.cpp"
#include <hwy/foreach_target.h>

#include "folio/kernels/cpu/random-inl.h"
#include "folio/kernels/cpu/softmax-inl.h"
#include "folio/kernels/cpu/vector-inl.h"

HWY_BEFORE_NAMESPACE();
namespace folio::cpu::HWY_NAMESPACE {
namespace {

/// Prepares `n` scores for exp_row() and returns the scale that remains to be applied. fma(scale,
/// score, -shift) rounds once, whereas shift was rounded before; near 1e10 the difference is in the
/// hundreds, so that the exponential of a row's maximum could become 0 or infinity. Large scores
/// are therefore scaled first, with the same rounding as shift.
template <class T>
HWY_INLINE T scale_left(T* row, int64_t n, T scale, T shift) {
  if (std::abs(shift) < T(1e6)) return scale;
  map_vectors<false>(row, n, times_constant(scale), row);
  return T{1};
}

template <class T>
HWY_INLINE void exp_all(T* scores, int64_t rows, int64_t columns, int64_t stride,
                        const int64_t* visible, T scale, T* log_sum) {
  constexpr T infinity = std::numeric_limits<T>::infinity();
  const int64_t lanes = lanes_of(hn::ScalableTag<T>());
  // Logarithms are computed for many rows at a time.
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
      // Round up to a whole vector if the row is long enough: whole vectors are faster than partial
      // ones.
      const int64_t rounded = std::min(columns, (visible[first + i] + lanes - 1) / lanes * lanes);
      T* row = block_scores + i * stride;
      map_vectors<false>(row, rounded, times_constant(T{1} / sum[i]), row);
    }
    const auto add_log = [](auto d, auto vmax, auto vsum)
                             FOLIO_SIMD { return hn::Add(vmax, log_any(d, vsum)); };
    map_vectors<false>(log_sum + first, count, add_log, max, sum);
  }
}

void exp_piece(DType dtype, void* scores, int64_t rows, int64_t columns, int64_t stride,
               const int64_t* visible, double scale, void* log_sum) {
  with_float_type(dtype, [&]<class T>(Type<T>) HWY_ATTR {
    exp_all(static_cast<T*>(scores), rows, columns, stride, visible, static_cast<T>(scale),
            static_cast<T*>(log_sum));
  });
}

void recompute_piece(DType dtype, void* scores, int64_t rows, int64_t columns, int64_t stride,
                     const int64_t* visible, double scale, const void* log_sum) {
  with_float_type(dtype, [&]<class T>(Type<T>) HWY_ATTR {
    for (int64_t r = 0; r < rows; ++r) {
      T* row = static_cast<T*>(scores) + r * stride;
      const T shift = static_cast<const T*>(log_sum)[r];
      const T factor = scale_left(row, visible[r], static_cast<T>(scale), shift);
      exp_row(row, row, visible[r], columns, factor, shift);
    }
  });
}

void backward_piece(DType dtype, void* dp, const void* p, int64_t rows, int64_t columns,
                    int64_t stride, const void* delta, double scale) {
  with_float_type(dtype, [&]<class T>(Type<T>) HWY_ATTR {
    for (int64_t r = 0; r < rows; ++r) {
      T* row = static_cast<T*>(dp) + r * stride;
      const T row_delta = static_cast<const T*>(delta)[r], factor = static_cast<T>(scale);
      const auto backward = [=](auto d, auto vdp, auto vp) FOLIO_SIMD {
        return hn::Mul(hn::Mul(vp, hn::Set(d, factor)), hn::Sub(vdp, hn::Set(d, row_delta)));
      };
      map_vectors<false>(row, columns, backward, row, static_cast<const T*>(p) + r * stride);
    }
  });
}

void dropout_piece(DType dtype, void* y, const void* x, int64_t n, const DropoutMask& mask,
                   uint64_t first_index) {
  with_float_type(dtype, [&]<class T>(Type<T>) HWY_ATTR {
    dropout_vectors(static_cast<T*>(y), static_cast<const T*>(x), n, mask, first_index);
  });
}

void dot_piece(DType dtype, void* dots, const void* a, int64_t stride_a, const void* b,
               int64_t stride_b, int64_t rows, int64_t n) {
  with_float_type(dtype, [&]<class T>(Type<T>) HWY_ATTR {
    for (int64_t r = 0; r < rows; ++r) {
      static_cast<T*>(dots)[r] =
          static_cast<T>(sum_vectors<T>(n, times, static_cast<const T*>(a) + r * stride_a,
                                        static_cast<const T*>(b) + r * stride_b));
    }
  });
}

void widen_piece(float* y, const bf16* x, int64_t rows, int64_t columns, int64_t stride) {
  for (int64_t r = 0; r < rows; ++r) {
    map_vectors<false>(y + r * columns, columns, identity, x + r * stride);
  }
}

void round_piece(DType dtype, void* y, bool accumulate, const float* x, int64_t rows,
                 int64_t columns, int64_t stride) {
  const auto round = [&]<class Y>(Y* out) HWY_ATTR {
    for (int64_t r = 0; r < rows; ++r) {
      map_vectors(accumulate, out + r * stride, columns, identity, x + r * columns);
    }
  };
  dtype == DType::bf16 ? round(static_cast<bf16*>(y)) : round(static_cast<float*>(y));
}

}  // namespace
}  // namespace folio::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace folio::cpu {

HWY_EXPORT(exp_piece);
HWY_EXPORT(recompute_piece);
HWY_EXPORT(backward_piece);
HWY_EXPORT(dropout_piece);
HWY_EXPORT(dot_piece);
HWY_EXPORT(widen_piece);
HWY_EXPORT(round_piece);

void exp_rows(DType dtype, void* scores, int64_t rows, int64_t columns, int64_t stride,
              const int64_t* visible, double scale, void* log_sum) {
  HWY_DYNAMIC_DISPATCH(exp_piece)(dtype, scores, rows, columns, stride, visible, scale, log_sum);
}

void recompute_rows(DType dtype, void* scores, int64_t rows, int64_t columns, int64_t stride,
                    const int64_t* visible, double scale, const void* log_sum) {
  HWY_DYNAMIC_DISPATCH(recompute_piece)
  (dtype, scores, rows, columns, stride, visible, scale, log_sum);
}

void softmax_backward_rows(DType dtype, void* dp, const void* p, int64_t rows, int64_t columns,
                           int64_t stride, const void* delta, double scale) {
  HWY_DYNAMIC_DISPATCH(backward_piece)(dtype, dp, p, rows, columns, stride, delta, scale);
}

void dropout_row(DType dtype, void* y, const void* x, int64_t n, const DropoutMask& mask,
                 uint64_t first_index) {
  HWY_DYNAMIC_DISPATCH(dropout_piece)(dtype, y, x, n, mask, first_index);
}

void dot_rows(DType dtype, void* dots, const void* a, int64_t stride_a, const void* b,
              int64_t stride_b, int64_t rows, int64_t n) {
  HWY_DYNAMIC_DISPATCH(dot_piece)(dtype, dots, a, stride_a, b, stride_b, rows, n);
}

void widen_rows(float* y, const bf16* x, int64_t rows, int64_t columns, int64_t stride) {
  HWY_DYNAMIC_DISPATCH(widen_piece)(y, x, rows, columns, stride);
}

void round_rows(DType dtype, void* y, bool accumulate, const float* x, int64_t rows,
                int64_t columns, int64_t stride) {
  HWY_DYNAMIC_DISPATCH(round_piece)(dtype, y, accumulate, x, rows, columns, stride);
}

}  // namespace folio::cpu
#endif
