#include <algorithm>
#include <cmath>

#include "folio/kernels/cpu/pieces.h"
#include "folio/kernels/cpu/table.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "folio/kernels/cpu/optimizer.cpp"
#include <hwy/foreach_target.h>

#include "folio/kernels/cpu/vector-inl.h"

HWY_BEFORE_NAMESPACE();
namespace folio::cpu::HWY_NAMESPACE {
namespace {

double square_sum(const Tensor& x, int64_t begin, int64_t end) {
  if (x.dtype() == DType::f32) {
    const float* in = elements<float>(x) + begin;
    return sum_vectors<float>(end - begin, Product{}, in, in);
  }
  const double* in = elements<double>(x) + begin;
  return sum_vectors<double>(end - begin, Product{}, in, in);
}

/// The numbers of one Adam step, the bias corrections among them.
template <class T>
struct AdamNumbers {
  T scale, beta1, beta2, rate, root_correction, eps, decay_factor, added_decay;

  AdamNumbers(double gradient_scale, const AdamOptions& o) {
    const double correction1 = 1.0 - std::pow(o.beta1, static_cast<double>(o.step));
    const double correction2 = 1.0 - std::pow(o.beta2, static_cast<double>(o.step));
    scale = static_cast<T>(gradient_scale);
    beta1 = static_cast<T>(o.beta1);
    beta2 = static_cast<T>(o.beta2);
    rate = static_cast<T>(o.lr / correction1);
    root_correction = static_cast<T>(1.0 / std::sqrt(correction2));
    eps = static_cast<T>(o.eps);
    decay_factor = static_cast<T>(o.decoupled ? 1.0 - o.lr * o.weight_decay : 1.0);
    added_decay = static_cast<T>(o.decoupled ? 0.0 : o.weight_decay);
  }
};

template <class T>
HWY_INLINE void adam_elements(T* values, T* first, T* second, const T* gradients, int64_t n,
                              const AdamNumbers<T>& numbers) {
  const hn::ScalableTag<T> d;
  const int64_t lanes = lanes_of(d);
  const auto update = [&](auto value, auto m, auto v, auto g) {
    g = hn::MulAdd(hn::Set(d, numbers.added_decay), value, hn::Mul(g, hn::Set(d, numbers.scale)));
    m = hn::MulAdd(hn::Set(d, numbers.beta1), hn::Sub(m, g), g);
    const auto square = hn::Mul(g, g);
    v = hn::MulAdd(hn::Set(d, numbers.beta2), hn::Sub(v, square), square);
    const auto root = hn::MulAdd(hn::Sqrt(v), hn::Set(d, numbers.root_correction),
                                 hn::Set(d, numbers.eps));
    const auto change = hn::Div(hn::Mul(m, hn::Set(d, numbers.rate)), root);
    value = hn::MulSub(value, hn::Set(d, numbers.decay_factor), change);
    struct Updated {
      decltype(value) value, m, v;
    };
    return Updated{value, m, v};
  };
  int64_t i = 0;
  for (; i + lanes <= n; i += lanes) {
    const auto next = update(hn::LoadU(d, values + i), hn::LoadU(d, first + i),
                             hn::LoadU(d, second + i), hn::LoadU(d, gradients + i));
    hn::StoreU(next.value, d, values + i);
    hn::StoreU(next.m, d, first + i);
    hn::StoreU(next.v, d, second + i);
  }
  if (const int64_t rest = n - i; rest > 0) {
    const auto next = update(load_part(d, values + i, rest), load_part(d, first + i, rest),
                             load_part(d, second + i, rest), load_part(d, gradients + i, rest));
    store_part(next.value, d, values + i, rest);
    store_part(next.m, d, first + i, rest);
    store_part(next.v, d, second + i, rest);
  }
}

template <class T>
HWY_INLINE void adam_part(const Tensor& values, const Tensor& first, const Tensor& second,
                          const Tensor& gradients, double scale, const AdamOptions& options,
                          int64_t begin, int64_t end) {
  adam_elements(elements<T>(values) + begin, elements<T>(first) + begin,
                elements<T>(second) + begin, elements<T>(gradients) + begin, end - begin,
                AdamNumbers<T>(scale, options));
}

void adam_piece(const Tensor& values, const Tensor& first, const Tensor& second,
                const Tensor& gradients, double scale, const AdamOptions& options, int64_t begin,
                int64_t end) {
  if (values.dtype() == DType::f32) {
    adam_part<float>(values, first, second, gradients, scale, options, begin, end);
  } else {
    adam_part<double>(values, first, second, gradients, scale, options, begin, end);
  }
}

/// momentum velocity + scale gradient + decay value.
template <class T>
struct Velocity {
  T momentum, scale, decay;
  template <class D, class V>
  HWY_INLINE V operator()(D d, V velocity, V gradient, V value) const {
    const V g = hn::MulAdd(hn::Set(d, decay), value, hn::Mul(gradient, hn::Set(d, scale)));
    return hn::MulAdd(hn::Set(d, momentum), velocity, g);
  }
};

/// value - lr velocity.
template <class T>
struct Descent {
  T lr;
  template <class D, class V>
  HWY_INLINE V operator()(D d, V value, V velocity) const {
    return hn::NegMulAdd(hn::Set(d, lr), velocity, value);
  }
};

template <class T>
HWY_INLINE void sgd_part(const Tensor& values, const Tensor& velocity, const Tensor& gradients,
                         double scale, const SgdOptions& options, int64_t begin, int64_t end) {
  T* x = elements<T>(values) + begin;
  T* v = elements<T>(velocity) + begin;
  const T* g = elements<T>(gradients) + begin;
  const double momentum = options.step > 1 ? options.momentum : 0.0;
  const Velocity<T> next{static_cast<T>(momentum), static_cast<T>(scale),
                         static_cast<T>(options.weight_decay)};
  // In blocks that stay in the cache between the two loops.
  for (int64_t n = end - begin, i = 0; i < n; i += sum_block) {
    const int64_t count = std::min(sum_block, n - i);
    map_vectors<false>(v + i, count, next, static_cast<const T*>(v + i), g + i,
                       static_cast<const T*>(x + i));
    map_vectors<false>(x + i, count, Descent<T>{static_cast<T>(options.lr)},
                       static_cast<const T*>(x + i), static_cast<const T*>(v + i));
  }
}

void sgd_piece(const Tensor& values, const Tensor& velocity, const Tensor& gradients, double scale,
               const SgdOptions& options, int64_t begin, int64_t end) {
  if (values.dtype() == DType::f32) {
    sgd_part<float>(values, velocity, gradients, scale, options, begin, end);
  } else {
    sgd_part<double>(values, velocity, gradients, scale, options, begin, end);
  }
}

}  // namespace
}  // namespace folio::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace folio::cpu {

HWY_EXPORT(square_sum);
HWY_EXPORT(adam_piece);
HWY_EXPORT(sgd_piece);

namespace {

double scale_of(const Tensor& norm_and_scale) { return norm_and_scale.view(1, Shape{1}).item(); }

}  // namespace

void gradient_norm(const Tensor& norm_and_scale, const Tensor& gradients, double max_norm) {
  check_floating("gradient_norm", gradients);
  const double norm = std::sqrt(sum_over_pieces(
      gradients.numel(), grain_elements, [&](int64_t begin, int64_t end) {
        return HWY_DYNAMIC_DISPATCH(square_sum)(gradients, begin, end);
      }));
  const double scale = max_norm > 0.0 && norm > max_norm ? max_norm / norm : 1.0;
  fill(norm_and_scale.view(0, Shape{1}), norm);
  fill(norm_and_scale.view(1, Shape{1}), scale);
}

void adam(const Tensor& values, const Tensor& first_moment, const Tensor& second_moment,
          const Tensor& gradients, const Tensor& norm_and_scale, const AdamOptions& options) {
  check_floating("adam", values);
  const double scale = scale_of(norm_and_scale);
  parallel_for(values.numel(), grain_elements, [&](int64_t begin, int64_t end) {
    HWY_DYNAMIC_DISPATCH(adam_piece)
    (values, first_moment, second_moment, gradients, scale, options, begin, end);
  });
}

void sgd(const Tensor& values, const Tensor& velocity, const Tensor& gradients,
         const Tensor& norm_and_scale, const SgdOptions& options) {
  check_floating("sgd", values);
  const double scale = scale_of(norm_and_scale);
  parallel_for(values.numel(), grain_elements, [&](int64_t begin, int64_t end) {
    HWY_DYNAMIC_DISPATCH(sgd_piece)
    (values, velocity, gradients, scale, options, begin, end);
  });
}

}  // namespace folio::cpu
#endif
