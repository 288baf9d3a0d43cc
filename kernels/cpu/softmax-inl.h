// The exponentials of a row and their sum. Compiled once for every instruction set.
#if defined(FOLIO_KERNELS_CPU_SOFTMAX_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef FOLIO_KERNELS_CPU_SOFTMAX_INL_H
#undef FOLIO_KERNELS_CPU_SOFTMAX_INL_H
#else
#define FOLIO_KERNELS_CPU_SOFTMAX_INL_H
#endif

#include <algorithm>
#include <cstdint>
#include <type_traits>

#include "folio/kernels/cpu/math-inl.h"
#include "folio/kernels/cpu/scratch.h"
#include "folio/kernels/cpu/vector-inl.h"

HWY_BEFORE_NAMESPACE();
namespace folio::cpu::HWY_NAMESPACE {

/// Where a row of n elements is computed before it is stored in y: y itself, or the thread's
/// scratch memory (see thread_scratch) if arithmetic is done in a wider type.
template <class T>
HWY_INLINE Arithmetic<T>* row_in_arithmetic(T* y, [[maybe_unused]] int64_t n) {
  if constexpr (std::is_same_v<T, Arithmetic<T>>) {
    return y;
  } else {
    return thread_scratch<Arithmetic<T>>(n)[0];
  }
}

/// exp_row() for at most sum_block elements, with the sum in T. `room` elements may be read and
/// written: whole vectors are faster than partial ones.
template <bool store, class T, class X>
HWY_INLINE T exp_block(T* y, const X* x, int64_t n, int64_t room, T factor, T shift) {
  const hn::ScalableTag<T> d;
  const int64_t lanes = lanes_of(d);
  const auto scale = hn::Set(d, factor), offset = hn::Set(d, shift);
  auto sum0 = hn::Zero(d), sum1 = sum0;
  int64_t i = 0;
  for (; i + 2 * lanes <= n; i += 2 * lanes) {
    const auto e0 = exp_nonpositive(d, hn::MulSub(scale, load_all(d, x + i), offset));
    const auto e1 = exp_nonpositive(d, hn::MulSub(scale, load_all(d, x + i + lanes), offset));
    if constexpr (store) {
      hn::StoreU(e0, d, y + i);
      hn::StoreU(e1, d, y + i + lanes);
    }
    sum0 = hn::Add(sum0, e0);
    sum1 = hn::Add(sum1, e1);
  }
  for (; i < n; i += lanes) {
    const auto inside = hn::FirstN(d, static_cast<size_t>(std::min(lanes, n - i)));
    const bool whole = i + lanes <= room;
    const auto v = whole ? load_all(d, x + i) : load_part(d, x + i, room - i);
    auto e = exp_nonpositive(d, hn::MulSub(scale, v, offset));
    e = hn::IfThenElseZero(inside, e);
    if constexpr (store) {
      if (whole) {
        hn::StoreU(e, d, y + i);
      } else {
        store_part(e, d, y + i, room - i);
      }
    }
    sum0 = hn::Add(sum0, e);
  }
  return hn::GetLane(hn::SumOfLanes(d, hn::Add(sum0, sum1)));
}

/// y = exp(factor * x - shift) for the first n elements and 0 for the rest of `columns`; returns
/// the sum. The exponents must be at most 88. y may be x.
template <class T, class X>
HWY_INLINE double exp_row(T* y, const X* x, int64_t n, int64_t columns, T factor, T shift) {
  const hn::ScalableTag<T> d;
  const int64_t lanes = lanes_of(d);
  double sum = 0.0;
  for (int64_t i = 0; i < n; i += sum_block) {
    const int64_t count = std::min(sum_block, n - i);
    sum += static_cast<double>(exp_block<true>(y + i, x + i, count, columns - i, factor, shift));
  }
  int64_t i = (n + lanes - 1) / lanes * lanes;
  for (; i + lanes <= columns; i += lanes) hn::StoreU(hn::Zero(d), d, y + i);
  if (i < columns) store_part(hn::Zero(d), d, y + i, columns - i);
  return sum;
}

/// The sum of exp(x - shift).
template <class T, class X>
HWY_INLINE double exp_sum(const X* x, int64_t n, T shift) {
  double sum = 0.0;
  for (int64_t i = 0; i < n; i += sum_block) {
    const int64_t count = std::min(sum_block, n - i);
    sum += static_cast<double>(exp_block<false, T>(nullptr, x + i, count, n - i, T{1}, shift));
  }
  return sum;
}

}  // namespace folio::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
