// Loops over arrays in vectors of the instruction set that is being compiled for: elementwise maps,
// sums and maxima. bf16 is widened to f32 when it is loaded and rounded when it is stored. Compiled
// once for every instruction set, hence the unusual include guard.
#if defined(FOLIO_KERNELS_CPU_VECTOR_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef FOLIO_KERNELS_CPU_VECTOR_INL_H
#undef FOLIO_KERNELS_CPU_VECTOR_INL_H
#else
#define FOLIO_KERNELS_CPU_VECTOR_INL_H
#endif

#include <hwy/highway.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <limits>

#include "folio/kernels/cpu/types.h"

HWY_BEFORE_NAMESPACE();
namespace folio::cpu::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

// Follows the parameters of a lambda that works on vectors: compiles it for the instruction set,
// and inlines it.
#undef FOLIO_SIMD
#define FOLIO_SIMD HWY_ATTR __attribute__((always_inline))

// AVX2's masked loads and stores of 4- and 8-byte lanes do not access lanes outside of the mask;
// Highway only warns of its emulation for 1- and 2-byte lanes.
#if HWY_MEM_OPS_MIGHT_FAULT && HWY_TARGET != HWY_AVX2
inline constexpr bool masked_moves = false;
#else
inline constexpr bool masked_moves = true;
#endif

template <class D>
HWY_INLINE int64_t lanes_of(D d) {
  return static_cast<int64_t>(hn::Lanes(d));
}

/// Loads the first `count` elements at p, fewer than a vector's lanes; the other lanes are 0.
template <class D, class T = hn::TFromD<D>>
HWY_INLINE hn::Vec<D> load_part(D d, const T* p, int64_t count) {
  if constexpr (masked_moves) {
    return hn::MaskedLoad(hn::FirstN(d, static_cast<size_t>(count)), d, p);
  } else {
    HWY_ALIGN T lanes[HWY_MAX_BYTES / sizeof(T)] = {};
    std::memcpy(lanes, p, static_cast<size_t>(count) * sizeof(T));
    return hn::Load(d, lanes);
  }
}

/// Stores the first `count` elements at p, fewer than a vector's lanes.
template <class D, class T = hn::TFromD<D>>
HWY_INLINE void store_part(hn::Vec<D> v, D d, T* p, int64_t count) {
  if constexpr (masked_moves) {
    hn::BlendedStore(v, hn::FirstN(d, static_cast<size_t>(count)), d, p);
  } else {
    HWY_ALIGN T lanes[HWY_MAX_BYTES / sizeof(T)];
    hn::Store(v, d, lanes);
    std::memcpy(p, lanes, static_cast<size_t>(count) * sizeof(T));
  }
}

/// Widens bf16 to f32.
template <class D>
HWY_INLINE hn::Vec<D> widen(D d, hn::Vec<hn::Rebind<uint16_t, D>> bits) {
  const hn::RebindToUnsigned<D> du;
  return hn::BitCast(d, hn::ShiftLeft<16>(hn::PromoteTo(du, bits)));
}

/// Rounds f32 to bf16 as bf16_bits() does.
template <class D>
HWY_INLINE hn::Vec<hn::Rebind<uint16_t, D>> narrow(D, hn::Vec<D> v) {
  const hn::RebindToUnsigned<D> du;
  const auto bits = hn::BitCast(du, v), upper = hn::ShiftRight<16>(bits);
  const auto half = hn::Add(hn::And(upper, hn::Set(du, 1u)), hn::Set(du, 0x7FFFu));
  const auto rounded = hn::ShiftRight<16>(hn::Add(bits, half));
  const auto quiet = hn::Or(upper, hn::Set(du, 0x40u));
  const auto result = hn::IfThenElse(hn::RebindMask(du, hn::IsNaN(v)), quiet, rounded);
  return hn::DemoteTo(hn::Rebind<uint16_t, D>(), hn::BitCast(hn::RebindToSigned<D>(), result));
}

// For 2-byte lanes, Highway's masked loads and stores respect the mask only in AVX-512.
template <class D>
HWY_INLINE hn::Vec<D> load_part(D d, const bf16* p, int64_t count) {
  const hn::Rebind<uint16_t, D> d16;
  HWY_ALIGN uint16_t lanes[HWY_MAX_BYTES / sizeof(uint16_t)] = {};
  std::memcpy(lanes, p, static_cast<size_t>(count) * sizeof(bf16));
  return widen(d, hn::Load(d16, lanes));
}
template <class D>
HWY_INLINE void store_part(hn::Vec<D> v, D d, bf16* p, int64_t count) {
  const hn::Rebind<uint16_t, D> d16;
  HWY_ALIGN uint16_t lanes[HWY_MAX_BYTES / sizeof(uint16_t)];
  hn::Store(narrow(d, v), d16, lanes);
  std::memcpy(p, lanes, static_cast<size_t>(count) * sizeof(bf16));
}

/// An operand of the loops below that has the same value everywhere; other operands are pointers.
template <class T>
struct Same {
  T value;
  Same operator+(int64_t) const { return *this; }
};

template <class D, class T = hn::TFromD<D>>
HWY_INLINE hn::Vec<D> load_all(D d, const T* p) {
  return hn::LoadU(d, p);
}
template <class D>
HWY_INLINE hn::Vec<D> load_all(D d, const bf16* p) {
  return widen(d, hn::LoadU(hn::Rebind<uint16_t, D>(), reinterpret_cast<const uint16_t*>(p)));
}
template <class D, class T>
HWY_INLINE hn::Vec<D> load_all(D d, Same<T> same) {
  return hn::Set(d, same.value);
}
template <class D, class T>
HWY_INLINE hn::Vec<D> load_part(D d, Same<T> same, int64_t) {
  return hn::Set(d, same.value);
}

template <class D, class T = hn::TFromD<D>>
HWY_INLINE void store_all(hn::Vec<D> v, D d, T* p) {
  hn::StoreU(v, d, p);
}
template <class D>
HWY_INLINE void store_all(hn::Vec<D> v, D d, bf16* p) {
  hn::StoreU(narrow(d, v), hn::Rebind<uint16_t, D>(), reinterpret_cast<uint16_t*>(p));
}

/// The elements of arrays from index `first` on that fill a vector.
template <class D>
struct WholeVector {
  D d;
  int64_t first;
  template <class X>
  HWY_INLINE auto load(X x) const {
    return load_all(d, x + first);
  }
  template <class T>
  HWY_INLINE void store(hn::Vec<D> v, T* y) const {
    store_all(v, d, y + first);
  }
};

/// `count` elements from index `first` on, fewer than fill a vector.
template <class D>
struct PartialVector {
  D d;
  int64_t first, count;
  template <class X>
  HWY_INLINE auto load(X x) const {
    return load_part(d, x + first, count);
  }
  template <class T>
  HWY_INLINE void store(hn::Vec<D> v, T* y) const {
    store_part(v, d, y + first, count);
  }
};

/// Calls step(at) for every vector of [0, n), where `at` is a WholeVector or a PartialVector of T.
template <class T, class Step>
HWY_INLINE void for_each_vector(int64_t n, const Step& step) {
  const hn::ScalableTag<T> d;
  const int64_t lanes = lanes_of(d);
  int64_t i = 0;
  for (; i + lanes <= n; i += lanes) step(WholeVector<decltype(d)>{d, i});
  if (i < n) step(PartialVector<decltype(d)>{d, i, n - i});
}

/// y[i] = or += f(x[i]...). f(d, vectors...) returns a vector. y may be one of the x.
template <bool accumulate, class T, class F, class... X>
HWY_INLINE void map_vectors(T* y, int64_t n, const F& f, X... x) {
  for_each_vector<Arithmetic<T>>(n, [&](const auto& at) FOLIO_SIMD {
    auto v = f(at.d, at.load(x)...);
    if constexpr (accumulate) v = hn::Add(v, at.load(y));
    at.store(v, y);
  });
}

/// map_vectors() with `accumulate` chosen at run time.
template <class T, class F, class... X>
HWY_INLINE void map_vectors(bool accumulate, T* y, int64_t n, const F& f, X... x) {
  if (accumulate) {
    map_vectors<true>(y, n, f, x...);
  } else {
    map_vectors<false>(y, n, f, x...);
  }
}

/// The number of elements that are added in T before the sum is added to a double, so that few
/// additions round in T.
#if HWY_TARGET == HWY_SCALAR
inline constexpr int64_t sum_block = 128;
#else
inline constexpr int64_t sum_block = 2048;
#endif

/// The sum of f(x[i]...) over at most sum_block elements, in the arithmetic of T.
template <class T, class F, class... X>
HWY_INLINE Arithmetic<T> sum_block_vectors(int64_t n, const F& f, X... x) {
  const hn::ScalableTag<Arithmetic<T>> d;
  const int64_t lanes = lanes_of(d);
  auto sum0 = hn::Zero(d), sum1 = sum0, sum2 = sum0, sum3 = sum0;
  int64_t i = 0;
  for (; i + 4 * lanes <= n; i += 4 * lanes) {
    sum0 = hn::Add(sum0, f(d, load_all(d, x + i)...));
    sum1 = hn::Add(sum1, f(d, load_all(d, x + (i + lanes))...));
    sum2 = hn::Add(sum2, f(d, load_all(d, x + (i + 2 * lanes))...));
    sum3 = hn::Add(sum3, f(d, load_all(d, x + (i + 3 * lanes))...));
  }
  for (; i + lanes <= n; i += lanes) sum0 = hn::Add(sum0, f(d, load_all(d, x + i)...));
  if (i < n) {
    const auto inside = hn::FirstN(d, static_cast<size_t>(n - i));
    sum1 = hn::Add(sum1, hn::IfThenElseZero(inside, f(d, load_part(d, x + i, n - i)...)));
  }
  return hn::GetLane(hn::SumOfLanes(d, hn::Add(hn::Add(sum0, sum1), hn::Add(sum2, sum3))));
}

/// The sum of f(x[i]...), in the arithmetic of T within a block and in double over the blocks.
template <class T, class F, class... X>
HWY_INLINE double sum_vectors(int64_t n, const F& f, X... x) {
  double sum = 0.0;
  for (int64_t i = 0; i < n; i += sum_block) {
    sum += static_cast<double>(sum_block_vectors<T>(std::min(sum_block, n - i), f, (x + i)...));
  }
  return sum;
}

/// The maximum of factor * x[i]; -infinity if n is 0.
template <class X, class T = Arithmetic<X>>
HWY_INLINE T max_vectors(const X* x, int64_t n, T factor) {
  const hn::ScalableTag<T> d;
  const int64_t lanes = lanes_of(d);
  const auto scale = hn::Set(d, factor);
  const auto lowest = hn::Set(d, -std::numeric_limits<T>::infinity());
  auto max0 = lowest, max1 = lowest;
  int64_t i = 0;
  for (; i + 2 * lanes <= n; i += 2 * lanes) {
    max0 = hn::Max(max0, hn::Mul(scale, load_all(d, x + i)));
    max1 = hn::Max(max1, hn::Mul(scale, load_all(d, x + i + lanes)));
  }
  for (; i < n; i += lanes) {
    const int64_t count = std::min(lanes, n - i);
    const auto v = count == lanes ? load_all(d, x + i) : load_part(d, x + i, count);
    const auto inside = hn::FirstN(d, static_cast<size_t>(count));
    max0 = hn::Max(max0, hn::IfThenElse(inside, hn::Mul(scale, v), lowest));
  }
  return hn::GetLane(hn::MaxOfLanes(d, hn::Max(max0, max1)));
}

// Functions of vectors for the loops above.
inline constexpr auto identity = [](auto, auto x) FOLIO_SIMD { return x; };
inline constexpr auto plus = [](auto, auto a, auto b) FOLIO_SIMD { return hn::Add(a, b); };
inline constexpr auto times = [](auto, auto a, auto b) FOLIO_SIMD { return hn::Mul(a, b); };
template <class T>
HWY_INLINE auto times_constant(T factor) {
  return [=](auto d, auto x) FOLIO_SIMD { return hn::Mul(x, hn::Set(d, factor)); };
}

}  // namespace folio::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
