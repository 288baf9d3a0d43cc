#include <cstdint>

#include "folio/kernels/cpu/pieces.h"
#include "folio/kernels/device_kernels.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "folio/kernels/cpu/unary.cpp"
#include <hwy/foreach_target.h>

#include "folio/kernels/cpu/activation-inl.h"
#include "folio/kernels/cpu/math-inl.h"
#include "folio/kernels/cpu/vector-inl.h"

HWY_BEFORE_NAMESPACE();
namespace folio::cpu::HWY_NAMESPACE {
namespace {

// Each op has forward(d, x), and backward(d, s, dy), where s is y if from_output is set, else x.
// Ops that are activations too are in activation-inl.h.

struct Exp {
  static constexpr bool from_output = true;
  template <class D, class V>
  static HWY_INLINE V forward(D d, V x) {
    return exp_any(d, x);
  }
  template <class D, class V>
  static HWY_INLINE V backward(D, V y, V dy) {
    return hn::Mul(dy, y);
  }
};

struct Log {
  static constexpr bool from_output = false;
  template <class D, class V>
  static HWY_INLINE V forward(D d, V x) {
    return log_any(d, x);
  }
  template <class D, class V>
  static HWY_INLINE V backward(D, V x, V dy) {
    return hn::Div(dy, x);
  }
};

struct Sqrt {
  static constexpr bool from_output = true;
  template <class D, class V>
  static HWY_INLINE V forward(D, V x) {
    return hn::Sqrt(x);
  }
  template <class D, class V>
  static HWY_INLINE V backward(D, V y, V dy) {
    return hn::Div(dy, hn::Add(y, y));
  }
};

struct Tanh {
  static constexpr bool from_output = true;
  template <class D, class V>
  static HWY_INLINE V forward(D d, V x) {
    return hn::Tanh(d, x);
  }
  template <class D, class V>
  static HWY_INLINE V backward(D, V y, V dy) {
    return hn::NegMulAdd(hn::Mul(y, y), dy, dy);
  }
};

struct Logistic {
  static constexpr bool from_output = true;
  template <class D, class V>
  static HWY_INLINE V forward(D d, V x) {
    return sigmoid_of(d, x).value;
  }
  template <class D, class V>
  static HWY_INLINE V backward(D, V y, V dy) {
    return hn::Mul(dy, hn::NegMulAdd(y, y, y));
  }
};

/// Calls f with an object of the op's struct.
template <class F>
HWY_INLINE void with_op(UnaryOp op, const F& f) {
  switch (op) {
    case UnaryOp::exp:
      return f(Exp());
    case UnaryOp::log:
      return f(Log());
    case UnaryOp::sqrt:
      return f(Sqrt());
    case UnaryOp::tanh:
      return f(Tanh());
    case UnaryOp::sigmoid:
      return f(Logistic());
    case UnaryOp::relu:
      return f(Relu());
    case UnaryOp::gelu:
      return f(Gelu());
    case UnaryOp::gelu_tanh:
      return f(GeluTanh());
  }
}

void forward_piece(UnaryOp op, const Tensor& y, const Tensor& x, int64_t begin, int64_t end) {
  with_op(op, [&]<class Op>(Op) HWY_ATTR {
    with_type(x.dtype(), [&]<class T>(Type<T>) HWY_ATTR {
      const auto f = [](auto d, auto v) FOLIO_SIMD { return Op::forward(d, v); };
      map_vectors<false>(elements<T>(y) + begin, end - begin, f, elements<T>(x) + begin);
    });
  });
}

void backward_piece(UnaryOp op, GradTarget dx, const Tensor& x, const Tensor& y, const Tensor& dy,
                    int64_t begin, int64_t end) {
  with_op(op, [&]<class Op>(Op) HWY_ATTR {
    with_types(dx.tensor->dtype(), dy.dtype(), [&]<class Y, class T>(Type<Y>, Type<T>) HWY_ATTR {
      const auto f = [](auto d, auto source, auto slope)
                         FOLIO_SIMD { return Op::backward(d, source, slope); };
      map_vectors(dx.accumulate, elements<Y>(*dx.tensor) + begin, end - begin, f,
                  elements<T>(Op::from_output ? y : x) + begin, elements<T>(dy) + begin);
    });
  });
}

}  // namespace
}  // namespace folio::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace folio::cpu {

HWY_EXPORT(forward_piece);
HWY_EXPORT(backward_piece);

void unary_forward(UnaryOp op, const Tensor& y, const Tensor& x) {
  check_floating("unary", x);
  parallel_for(x.numel(), grain_elements, [&](int64_t begin, int64_t end) {
    HWY_DYNAMIC_DISPATCH(forward_piece)(op, y, x, begin, end);
  });
}

void unary_backward(UnaryOp op, GradTarget dx, const Tensor& x, const Tensor& y, const Tensor& dy) {
  if (!dx) return;
  check_floating("unary", dy);
  parallel_for(dy.numel(), grain_elements, [&](int64_t begin, int64_t end) {
    HWY_DYNAMIC_DISPATCH(backward_piece)(op, dx, x, y, dy, begin, end);
  });
}

}  // namespace folio::cpu
#endif
