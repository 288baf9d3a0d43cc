// Elementary functions on vectors of f32 and f64. Compiled once for every instruction set.
#if defined(FOLIO_KERNELS_CPU_MATH_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef FOLIO_KERNELS_CPU_MATH_INL_H
#undef FOLIO_KERNELS_CPU_MATH_INL_H
#else
#define FOLIO_KERNELS_CPU_MATH_INL_H
#endif

#include <hwy/contrib/math/math-inl.h>
#include <hwy/highway.h>

#include <cmath>
#include <cstdint>
#include <limits>

HWY_BEFORE_NAMESPACE();
namespace folio::cpu::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

/// c[0] + x (c[1] + x (c[2] + ...)).
template <class D, size_t count>
HWY_INLINE hn::Vec<D> polynomial(D d, hn::Vec<D> x, const hn::TFromD<D> (&c)[count]) {
  auto sum = hn::Set(d, c[count - 1]);
  for (size_t i = count - 1; i-- > 0;) sum = hn::MulAdd(sum, x, hn::Set(d, c[i]));
  return sum;
}

template <class T>
struct ExpConstants;
template <>
struct ExpConstants<float> {
  static constexpr float round = 0x1.8p23f;  // adding it rounds to an integer, in the low bits
  static constexpr float ln2_high = 0.693359375f, ln2_low = -2.12194440e-4f;
  static constexpr float overflow = 88.7228394f, underflow = -104.0f, denormal = -87.3365402f;
  static constexpr int mantissa_bits = 23;
  // (e^r - 1 - r) / r^2 for |r| <= ln(2) / 2, as in Cephes' expf.
  static constexpr float c[] = {5.0000001201e-1f, 1.6666665459e-1f, 4.1665795894e-2f,
                                8.3334519073e-3f, 1.3981999507e-3f, 1.9875691500e-4f};
};
template <>
struct ExpConstants<double> {
  static constexpr double round = 0x1.8p52;
  static constexpr double ln2_high = 6.93147180369123816490e-01;
  static constexpr double ln2_low = 1.90821492927058770002e-10;
  static constexpr double overflow = 709.782712893384, underflow = -746.0,
                          denormal = -708.39641853226408;
  static constexpr int mantissa_bits = 52;
  // The Taylor series: the first term left out is below 1e-17 of the result.
  static constexpr double c[] = {1.0 / 2,       1.0 / 6,        1.0 / 24,        1.0 / 120,
                                 1.0 / 720,     1.0 / 5040,     1.0 / 40320,     1.0 / 362880,
                                 1.0 / 3628800, 1.0 / 39916800, 1.0 / 479001600, 1.0 / 6227020800};
};

/// Writes x as n ln 2 + r with |r| <= ln(2) / 2; returns e^r, and n plus the rounding constant as a
/// float.
template <class D, class V>
HWY_INLINE V exp_of_remainder(D d, V x, V& rounded) {
  using C = ExpConstants<hn::TFromD<D>>;
  const V round = hn::Set(d, C::round);
  rounded = hn::MulAdd(x, hn::Set(d, static_cast<hn::TFromD<D>>(1.44269504088896340736)), round);
  const V n = hn::Sub(rounded, round);
  V r = hn::NegMulAdd(n, hn::Set(d, C::ln2_high), x);
  r = hn::NegMulAdd(n, hn::Set(d, C::ln2_low), r);
  const V tail = polynomial(d, r, C::c);
  return hn::Add(hn::MulAdd(hn::Mul(r, r), tail, r), hn::Set(d, hn::TFromD<D>{1}));
}

/// e^x for x <= 88: the fast version, for softmax. The result is 0 where it would be denormal; NaN
/// stays NaN.
template <class D, class V>
HWY_INLINE V exp_nonpositive(D d, V x) {
  using C = ExpConstants<hn::TFromD<D>>;
  const hn::RebindToSigned<D> di;
  V rounded;
  const V e = exp_of_remainder(d, x, rounded);
  const auto exponent = hn::ShiftLeft<C::mantissa_bits>(hn::BitCast(di, rounded));
  const auto one = hn::BitCast(di, hn::Set(d, hn::TFromD<D>{1}));
  const V y = hn::Mul(e, hn::BitCast(d, hn::Add(exponent, one)));
  return hn::IfThenZeroElse(hn::Lt(x, hn::Set(d, C::denormal)), y);
}

/// e^x for every x as in std::exp, including infinities, denormal results and NaN.
template <class D, class V>
HWY_INLINE V exp_any(D d, V x) {
  using T = hn::TFromD<D>;
  using C = ExpConstants<T>;
  const hn::RebindToSigned<D> di;
  V rounded;
  const V e = exp_of_remainder(d, x, rounded);
  const auto n = hn::Sub(hn::BitCast(di, rounded), hn::BitCast(di, hn::Set(d, C::round)));
  const auto one = hn::BitCast(di, hn::Set(d, T{1}));
  // In two factors, because 2^n alone may not be a normal number.
  const auto half = hn::ShiftRight<1>(n);
  const auto factor0 = hn::BitCast(d, hn::Add(hn::ShiftLeft<C::mantissa_bits>(half), one));
  const auto factor1 =
      hn::BitCast(d, hn::Add(hn::ShiftLeft<C::mantissa_bits>(hn::Sub(n, half)), one));
  V y = hn::Mul(hn::Mul(e, factor0), factor1);
  y = hn::IfThenZeroElse(hn::Lt(x, hn::Set(d, C::underflow)), y);
  const V infinity = hn::Set(d, std::numeric_limits<T>::infinity());
  return hn::IfThenElse(hn::Gt(x, hn::Set(d, C::overflow)), infinity, y);
}

/// ln x: -infinity at 0, NaN for negative x, infinity at infinity.
template <class D, class V>
HWY_INLINE V log_any(D d, V x) {
  using T = hn::TFromD<D>;
  const V infinity = hn::Set(d, std::numeric_limits<T>::infinity());
  V y = hn::Log(d, x);
  y = hn::IfThenElse(hn::Lt(x, infinity), y, x);  // infinity, NaN
  y = hn::IfThenElse(hn::Eq(x, hn::Zero(d)), hn::Neg(infinity), y);
  return hn::IfThenElse(hn::Lt(x, hn::Zero(d)), hn::Sub(infinity, infinity), y);
}

/// 1 / (1 + e^-x), and its difference from 1 without cancellation.
template <class V>
struct Sigmoid {
  V value, complement;
};

template <class D, class V>
HWY_INLINE Sigmoid<V> sigmoid_of(D d, V x) {
  using T = hn::TFromD<D>;
  // For smaller x the result is practically 0, and e^-x would overflow.
  const V least = hn::Set(d, sizeof(T) == 4 ? T(-88) : T(-708));
  const V e = exp_nonpositive(d, hn::Neg(hn::IfThenElse(hn::Lt(x, least), least, x)));
  const V one = hn::Set(d, T{1});
  const V value = hn::Div(one, hn::Add(one, e));
  return {value, hn::Mul(e, value)};
}

/// Phi(-|x|) and exp(-x^2 / 2), of the standard normal distribution.
template <class V>
struct NormalTail {
  V tail, exponential;
};

template <class D, class V>
HWY_INLINE NormalTail<V> normal_tail(D d, V x) {
  using T = hn::TFromD<D>;
  const V e = exp_nonpositive(d, hn::Mul(hn::Mul(x, x), hn::Set(d, T(-0.5))));
  if constexpr (sizeof(T) == 4) {
    // Phi(-|x|) exp(x^2 / 2) = t P(t), t = 1 / (1 + 0.26 |x|): P interpolates at the Chebyshev
    // nodes of |x| <= 13 with a relative error of 5e-8.
    static constexpr float c[] = {0.1037736810976566f, 0.10277030503128046f,  0.10477746589183842f,
                                  0.0442173733601942f, 0.1769333077456098f,   -0.17413105599314463f,
                                  0.2718196971915721f, -0.16270662871002933f, 0.03254585700636496f};
    const V one = hn::Set(d, 1.0f);
    const V t = hn::Div(one, hn::MulAdd(hn::Abs(x), hn::Set(d, 0.26f), one));
    return {hn::Mul(hn::Mul(t, e), polynomial(d, t, c)), e};
  } else {
    HWY_ALIGN double lanes[HWY_MAX_BYTES / sizeof(double)];
    hn::Store(x, d, lanes);
    for (int64_t i = 0; i < static_cast<int64_t>(hn::Lanes(d)); ++i) {
      lanes[i] = 0.5 * std::erfc(std::abs(lanes[i]) * 0.70710678118654752440);
    }
    return {hn::Load(d, lanes), e};
  }
}

/// Phi(x), computed from the tail.
template <class D, class V>
HWY_INLINE V normal_cdf(D d, V x, const NormalTail<V>& normal) {
  const V upper = hn::Sub(hn::Set(d, hn::TFromD<D>{1}), normal.tail);
  return hn::IfThenElse(hn::Lt(x, hn::Zero(d)), normal.tail, upper);
}

}  // namespace folio::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
