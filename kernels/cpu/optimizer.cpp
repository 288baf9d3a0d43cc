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

/// Calls step(d, load, store) for every vector of [0, n): load(p) and store(v, p) access the
/// vector's elements of the array that starts at p.
template <class T, class Step>
HWY_INLINE void for_each_vector(int64_t n, const Step& step) {
  const hn::ScalableTag<T> d;
  const int64_t lanes = lanes_of(d);
  int64_t i = 0;
  for (; i + lanes <= n; i += lanes) {
    step(
        d, [&](const T* p) HWY_ATTR { return hn::LoadU(d, p + i); },
        [&](auto v, auto* p) HWY_ATTR { store_all(v, d, p + i); });
  }
  if (i < n) {
    step(
        d, [&](const T* p) HWY_ATTR { return load_part(d, p + i, n - i); },
        [&](auto v, auto* p) HWY_ATTR { store_part(v, d, p + i, n - i); });
  }
}

template <class T>
struct AdamStep {
  T* values;
  bf16* copy;  // null if there is none
  T *first, *second;
  const T* gradients;
  T scale, beta1, beta2, rest1, rest2;  // rest is 1 - beta
  T rate, inverse_root, eps;            // lr / (1 - beta1^t), 1 / sqrt(1 - beta2^t)
  T shrink, decay;                      // applied to the values; added to the gradient

  template <class D, class Load, class Store>
  HWY_INLINE void operator()(D d, const Load& load, const Store& store) const {
    auto value = load(values);
    const auto scaled = hn::Mul(load(gradients), hn::Set(d, scale));
    const auto g = hn::MulAdd(hn::Set(d, decay), value, scaled);
    value = hn::Mul(value, hn::Set(d, shrink));
    const auto m = hn::MulAdd(hn::Set(d, beta1), load(first), hn::Mul(hn::Set(d, rest1), g));
    const auto square = hn::Mul(g, g);
    const auto v = hn::MulAdd(hn::Set(d, beta2), load(second), hn::Mul(hn::Set(d, rest2), square));
    const auto root = hn::MulAdd(hn::Sqrt(v), hn::Set(d, inverse_root), hn::Set(d, eps));
    store(m, first);
    store(v, second);
    const auto result = hn::NegMulAdd(hn::Set(d, rate), hn::Div(m, root), value);
    store(result, values);
    if constexpr (std::is_same_v<T, float>) {
      if (copy) store(result, copy);
    }
  }
};

template <class T>
HWY_INLINE void adam_elements(const Tensor& values, const Tensor& copy, const Tensor& first,
                              const Tensor& second, const Tensor& gradients,
                              const Tensor& norm_and_scale, const AdamOptions& options,
                              int64_t begin, int64_t end) {
  const double t = static_cast<double>(options.step);
  const double correction1 = 1.0 - std::pow(options.beta1, t);
  const double correction2 = 1.0 - std::pow(options.beta2, t);
  const double lr = options.lr * options.lr_scale, decay = options.weight_decay;
  const AdamStep<T> step{elements<T>(values) + begin,
                         copy ? elements<bf16>(copy) + begin : nullptr,
                         elements<T>(first) + begin,
                         elements<T>(second) + begin,
                         elements<const T>(gradients) + begin,
                         elements<const T>(norm_and_scale)[1],
                         static_cast<T>(options.beta1),
                         static_cast<T>(options.beta2),
                         static_cast<T>(1.0 - options.beta1),
                         static_cast<T>(1.0 - options.beta2),
                         static_cast<T>(lr / correction1),
                         static_cast<T>(1.0 / std::sqrt(correction2)),
                         static_cast<T>(options.eps),
                         static_cast<T>(options.decoupled ? 1.0 - lr * decay : 1.0),
                         static_cast<T>(options.decoupled ? 0.0 : decay)};
  for_each_vector<T>(end - begin, step);
}

void adam_piece(const Tensor& values, const Tensor& copy, const Tensor& first, const Tensor& second,
                const Tensor& gradients, const Tensor& norm_and_scale, const AdamOptions& options,
                int64_t begin, int64_t end) {
  if (values.dtype() == DType::f32) {
    adam_elements<float>(values, copy, first, second, gradients, norm_and_scale, options, begin,
                         end);
  } else {
    adam_elements<double>(values, copy, first, second, gradients, norm_and_scale, options, begin,
                          end);
  }
}

template <class T>
struct SgdStep {
  T* values;
  bf16* copy;   // null if there is none
  T* velocity;  // null if there is no momentum
  const T* gradients;
  T scale, decay, momentum, rate;
  bool first;

  template <class D, class Load, class Store>
  HWY_INLINE void operator()(D d, const Load& load, const Store& store) const {
    const auto value = load(values);
    auto g = hn::MulAdd(hn::Set(d, decay), value, hn::Mul(load(gradients), hn::Set(d, scale)));
    if (velocity) {
      if (!first) g = hn::MulAdd(hn::Set(d, momentum), load(velocity), g);
      store(g, velocity);
    }
    const auto result = hn::NegMulAdd(hn::Set(d, rate), g, value);
    store(result, values);
    if constexpr (std::is_same_v<T, float>) {
      if (copy) store(result, copy);
    }
  }
};

template <class T>
HWY_INLINE void sgd_elements(const Tensor& values, const Tensor& copy, const Tensor& velocity,
                             const Tensor& gradients, const Tensor& norm_and_scale,
                             const SgdOptions& options, int64_t begin, int64_t end) {
  const SgdStep<T> step{elements<T>(values) + begin,
                        copy ? elements<bf16>(copy) + begin : nullptr,
                        velocity ? elements<T>(velocity) + begin : nullptr,
                        elements<const T>(gradients) + begin,
                        elements<const T>(norm_and_scale)[1],
                        static_cast<T>(options.weight_decay),
                        static_cast<T>(options.momentum),
                        static_cast<T>(options.lr * options.lr_scale),
                        options.step <= 1};
  for_each_vector<T>(end - begin, step);
}

void sgd_piece(const Tensor& values, const Tensor& copy, const Tensor& velocity,
               const Tensor& gradients, const Tensor& norm_and_scale, const SgdOptions& options,
               int64_t begin, int64_t end) {
  if (values.dtype() == DType::f32) {
    sgd_elements<float>(values, copy, velocity, gradients, norm_and_scale, options, begin, end);
  } else {
    sgd_elements<double>(values, copy, velocity, gradients, norm_and_scale, options, begin, end);
  }
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
  const double norm = std::sqrt(squares);
  const double scale = clip_scale(norm, max_norm);
  if (norm_and_scale.dtype() == DType::f32) {
    elements<float>(norm_and_scale)[0] = static_cast<float>(norm);
    elements<float>(norm_and_scale)[1] = static_cast<float>(scale);
  } else {
    elements<double>(norm_and_scale)[0] = norm;
    elements<double>(norm_and_scale)[1] = scale;
  }
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
