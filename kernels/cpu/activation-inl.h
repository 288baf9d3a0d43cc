// The activation functions on vectors: forward(d, x) and backward(d, x, dy). Compiled once for
// every instruction set.
#if defined(FOLIO_KERNELS_CPU_ACTIVATION_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef FOLIO_KERNELS_CPU_ACTIVATION_INL_H
#undef FOLIO_KERNELS_CPU_ACTIVATION_INL_H
#else
#define FOLIO_KERNELS_CPU_ACTIVATION_INL_H
#endif

#include "folio/kernels/cpu/math-inl.h"

HWY_BEFORE_NAMESPACE();
namespace folio::cpu::HWY_NAMESPACE {

// NaN is passed through; the derivative at 0 is 0.
struct Relu {
  static constexpr bool from_output = false;
  template <class D, class V>
  static HWY_INLINE V forward(D d, V x) {
    return hn::IfThenZeroElse(hn::Le(x, hn::Zero(d)), x);
  }
  template <class D, class V>
  static HWY_INLINE V backward(D d, V x, V dy) {
    return hn::IfThenZeroElse(hn::Le(x, hn::Zero(d)), dy);
  }
};

struct Gelu {
  static constexpr bool from_output = false;
  template <class D, class V>
  static HWY_INLINE V forward(D d, V x) {
    return hn::Mul(x, normal_cdf(d, x, normal_tail(d, x)));
  }
  template <class D, class V>
  static HWY_INLINE V backward(D d, V x, V dy) {
    const auto normal = normal_tail(d, x);
    const V inverse_sqrt_2pi = hn::Set(d, hn::TFromD<D>(0.39894228040143267794));
    const V density = hn::Mul(normal.exponential, inverse_sqrt_2pi);
    return hn::Mul(dy, hn::MulAdd(x, density, normal_cdf(d, x, normal)));
  }
};

// (1 + tanh(u)) / 2 = sigmoid(2 u), u = sqrt(2 / pi) (x + 0.044715 x^3).
struct GeluTanh {
  static constexpr bool from_output = false;
  static constexpr double linear = 1.59576912160573071176, cubic = 0.044715 * linear;
  template <class D, class V>
  static HWY_INLINE Sigmoid<V> gate(D d, V x, V square) {
    using T = hn::TFromD<D>;
    const V slope = hn::MulAdd(square, hn::Set(d, T(cubic)), hn::Set(d, T(linear)));
    return sigmoid_of(d, hn::Mul(x, slope));
  }
  template <class D, class V>
  static HWY_INLINE V forward(D d, V x) {
    return hn::Mul(x, gate(d, x, hn::Mul(x, x)).value);
  }
  template <class D, class V>
  static HWY_INLINE V backward(D d, V x, V dy) {
    using T = hn::TFromD<D>;
    const V square = hn::Mul(x, x);
    const auto g = gate(d, x, square);
    const V slope = hn::MulAdd(square, hn::Set(d, T(3 * cubic)), hn::Set(d, T(linear)));
    const V gate_slope = hn::Mul(hn::Mul(g.value, g.complement), slope);
    return hn::Mul(dy, hn::MulAdd(x, gate_slope, g.value));
  }
};

}  // namespace folio::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
