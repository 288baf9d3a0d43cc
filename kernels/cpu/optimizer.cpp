#include <cmath>
#include <cstdint>
#include <string_view>
#include <type_traits>

#include "folio/kernels/cpu/pieces.h"
#include "folio/kernels/device_kernels.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "folio/kernels/cpu/optimizer.cpp"
#include <hwy/foreach_target.h>

#include "folio/kernels/cpu/vector-inl.h"

HWY_BEFORE_NAMESPACE();
namespace folio::cpu::HWY_NAMESPACE {
namespace {

/// In double from the start: the squares of small gradients underflow in f32.
template <class T>
HWY_INLINE double sum_of_squares(const T* x, int64_t n) {
  const hn::ScalableTag<double> d;
  const hn::Rebind<T, decltype(d)> narrow;
  const int64_t lanes = lanes_of(d);
  const auto widen = [&](int64_t i) HWY_ATTR {
    if constexpr (sizeof(T) == 4) {
      return hn::PromoteTo(d, hn::LoadU(narrow, x + i));
    } else {
      return hn::LoadU(d, x + i);
    }
  };
  auto sum0 = hn::Zero(d), sum1 = sum0, sum2 = sum0, sum3 = sum0;
  int64_t i = 0;
  for (; i + 4 * lanes <= n; i += 4 * lanes) {
    const auto x0 = widen(i), x1 = widen(i + lanes);
    const auto x2 = widen(i + 2 * lanes), x3 = widen(i + 3 * lanes);
    sum0 = hn::MulAdd(x0, x0, sum0);
    sum1 = hn::MulAdd(x1, x1, sum1);
    sum2 = hn::MulAdd(x2, x2, sum2);
    sum3 = hn::MulAdd(x3, x3, sum3);
  }
  double sum = hn::GetLane(hn::SumOfLanes(d, hn::Add(hn::Add(sum0, sum1), hn::Add(sum2, sum3))));
  for (; i < n; ++i) sum += static_cast<double>(x[i]) * static_cast<double>(x[i]);
  return sum;
}

double squares_piece(const Tensor& gradients, int64_t begin, int64_t end) {
  if (gradients.dtype() == DType::f32) {
    return sum_of_squares(elements<const float>(gradients) + begin, end - begin);
  }
  return sum_of_squares(elements<const double>(gradients) + begin, end - begin);
}

/// Stores new values, and a rounded copy of f32 ones unless `rounded` is null.
template <class At, class V, class T>
HWY_INLINE void store_values(const At& at, V v, T* values, [[maybe_unused]] bf16* rounded) {
  at.store(v, values);
  if constexpr (std::is_same_v<T, float>) {
    if (rounded) at.store(v, rounded);
  }
}

void adam_piece(const Tensor& values, const Tensor& copy, const Tensor& first_moment,
                const Tensor& second_moment, const Tensor& gradients, const Tensor& norm_and_scale,
                const AdamOptions& options, int64_t begin, int64_t end) {
  const double t = static_cast<double>(options.step);
  const double lr = options.lr * options.lr_scale;
  const double correction1 = 1.0 - std::pow(options.beta1, t);
  const double correction2 = 1.0 - std::pow(options.beta2, t);
  with_float_type(values.dtype(), [&]<class T>(Type<T>) HWY_ATTR {
    T* const parameters = elements<T>(values) + begin;
    bf16* const rounded = copy ? elements<bf16>(copy) + begin : nullptr;
    T* const first = elements<T>(first_moment) + begin;
    T* const second = elements<T>(second_moment) + begin;
    const T* const gradient = elements<T>(gradients) + begin;
    const T scale = elements<T>(norm_and_scale)[1];
    const T beta1 = static_cast<T>(options.beta1), rest1 = static_cast<T>(1.0 - options.beta1);
    const T beta2 = static_cast<T>(options.beta2), rest2 = static_cast<T>(1.0 - options.beta2);
    const T rate = static_cast<T>(lr / correction1);
    const T inverse_root = static_cast<T>(1.0 / std::sqrt(correction2));
    const T eps = static_cast<T>(options.eps);
    // Decay shrinks the values, or is added to the gradient.
    const double decoupled = options.decoupled ? options.weight_decay : 0.0;
    const T shrink = static_cast<T>(1.0 - lr * decoupled);
    const T decay = static_cast<T>(options.decoupled ? 0.0 : options.weight_decay);
    for_each_vector<T>(end - begin, [=](const auto& at) FOLIO_SIMD {
      const auto d = at.d;
      auto value = at.load(parameters);
      const auto scaled = hn::Mul(at.load(gradient), hn::Set(d, scale));
      const auto g = hn::MulAdd(hn::Set(d, decay), value, scaled);
      value = hn::Mul(value, hn::Set(d, shrink));
      const auto m = hn::MulAdd(hn::Set(d, beta1), at.load(first), hn::Mul(hn::Set(d, rest1), g));
      const auto square = hn::Mul(g, g);
      const auto v =
          hn::MulAdd(hn::Set(d, beta2), at.load(second), hn::Mul(hn::Set(d, rest2), square));
      const auto root = hn::MulAdd(hn::Sqrt(v), hn::Set(d, inverse_root), hn::Set(d, eps));
      at.store(m, first);
      at.store(v, second);
      store_values(at, hn::NegMulAdd(hn::Set(d, rate), hn::Div(m, root), value), parameters,
                   rounded);
    });
  });
}

void sgd_piece(const Tensor& values, const Tensor& copy, const Tensor& velocity,
               const Tensor& gradients, const Tensor& norm_and_scale, const SgdOptions& options,
               int64_t begin, int64_t end) {
  with_float_type(values.dtype(), [&]<class T>(Type<T>) HWY_ATTR {
    T* const parameters = elements<T>(values) + begin;
    bf16* const rounded = copy ? elements<bf16>(copy) + begin : nullptr;
    T* const speed = velocity ? elements<T>(velocity) + begin : nullptr;
    const T* const gradient = elements<T>(gradients) + begin;
    const T scale = elements<T>(norm_and_scale)[1];
    const T decay = static_cast<T>(options.weight_decay),
            rate = static_cast<T>(options.lr * options.lr_scale);
    const T momentum = static_cast<T>(options.momentum);
    const bool first = options.step <= 1;
    for_each_vector<T>(end - begin, [=](const auto& at) FOLIO_SIMD {
      const auto d = at.d;
      const auto value = at.load(parameters);
      auto g = hn::MulAdd(hn::Set(d, decay), value, hn::Mul(at.load(gradient), hn::Set(d, scale)));
      if (speed) {
        if (!first) g = hn::MulAdd(hn::Set(d, momentum), at.load(speed), g);
        at.store(g, speed);
      }
      store_values(at, hn::NegMulAdd(hn::Set(d, rate), g, value), parameters, rounded);
    });
  });
}

}  // namespace
}  // namespace folio::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace folio::cpu {

HWY_EXPORT(squares_piece);
HWY_EXPORT(adam_piece);
HWY_EXPORT(sgd_piece);

namespace {

/// Master weights, moments and gradients are never bf16: a small update of a large value would be
/// rounded away.
void check_master(std::string_view kernel, const Tensor& slab) {
  FOLIO_CHECK(slab.dtype() == DType::f32 || slab.dtype() == DType::f64, kernel,
              "the slab is {}; wanted f32 or f64", slab.describe());
}

}  // namespace

void sum_squares(const Tensor& sums, const Tensor& gradients) {
  check_master("sum_squares", gradients);
  double* of_piece = elements<double>(sums);
  parallel_for(gradients.numel(), norm_piece, [&](int64_t begin, int64_t end) {
    of_piece[begin / norm_piece] = HWY_DYNAMIC_DISPATCH(squares_piece)(gradients, begin, end);
  });
}

void gradient_norm(const Tensor& norm_and_scale, const Tensor& gradients, double max_norm) {
  check_master("gradient_norm", gradients);
  const double squares =
      sum_over_pieces(gradients.numel(), norm_piece, [&](int64_t begin, int64_t end) {
        return HWY_DYNAMIC_DISPATCH(squares_piece)(gradients, begin, end);
      });
  const double norm = std::sqrt(squares), scale = clip_scale(norm, max_norm);
  set_element(norm_and_scale, 0, norm);
  set_element(norm_and_scale, 1, scale);
}

void adam(const Tensor& values, const Tensor& copy, const Tensor& first_moment,
          const Tensor& second_moment, const Tensor& gradients, const Tensor& norm_and_scale,
          const AdamOptions& options) {
  check_master("adam", values);
  parallel_for(values.numel(), grain_elements, [&](int64_t begin, int64_t end) {
    HWY_DYNAMIC_DISPATCH(adam_piece)
    (values, copy, first_moment, second_moment, gradients, norm_and_scale, options, begin, end);
  });
}

void sgd(const Tensor& values, const Tensor& copy, const Tensor& velocity, const Tensor& gradients,
         const Tensor& norm_and_scale, const SgdOptions& options) {
  check_master("sgd", values);
  parallel_for(values.numel(), grain_elements, [&](int64_t begin, int64_t end) {
    HWY_DYNAMIC_DISPATCH(sgd_piece)
    (values, copy, velocity, gradients, norm_and_scale, options, begin, end);
  });
}

}  // namespace folio::cpu
#endif
