#include <cmath>

#include "folio/kernels/cpu/pieces.h"
#include "folio/kernels/cpu/table.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "folio/kernels/cpu/cross_entropy.cpp"
#include <hwy/foreach_target.h>

#include "folio/kernels/cpu/softmax-inl.h"

HWY_BEFORE_NAMESPACE();
namespace folio::cpu::HWY_NAMESPACE {
namespace {

/// e[i] factor - constant.
template <class T>
struct Gradient {
  T factor, constant;
  template <class D, class V>
  HWY_INLINE V operator()(D d, V e) const {
    return hn::MulSub(e, hn::Set(d, factor), hn::Set(d, constant));
  }
};

/// One row's loss, unscaled; its gradient, scaled, where dx is not null.
template <class T>
HWY_INLINE double row_loss(T* dx, const T* x, int64_t classes, int32_t target,
                           const CrossEntropyOptions& options) {
  const double epsilon = options.label_smoothing;
  const T max = max_vectors(x, classes, T{1});
  const double sum = dx != nullptr ? exp_row(dx, x, classes, classes, T{1}, max)
                                   : exp_sum(x, classes, max);
  const double log_sum = static_cast<double>(max) + std::log(sum);
  double loss = log_sum - (1.0 - epsilon) * static_cast<double>(x[target]);
  if (epsilon > 0.0) {
    loss -= epsilon * sum_vectors<T>(classes, Identity{}, x) / static_cast<double>(classes);
  }
  if (dx != nullptr) {
    const Gradient<T> gradient{
        static_cast<T>(options.scale / sum),
        static_cast<T>(options.scale * epsilon / static_cast<double>(classes))};
    map_vectors<false>(dx, classes, gradient, static_cast<const T*>(dx));
    dx[target] -= static_cast<T>(options.scale * (1.0 - epsilon));
  }
  return loss;
}

template <class T>
HWY_INLINE double rows_loss(const Tensor& dlogits, const Tensor& logits, const Tensor& targets,
                            const CrossEntropyOptions& options, int64_t begin, int64_t end) {
  const int64_t classes = logits.shape().columns();
  const int32_t* target = elements<int32_t>(targets);
  double loss = 0.0;
  for (int64_t row = begin; row < end; ++row) {
    T* dx = dlogits ? elements<T>(dlogits) + row * classes : nullptr;
    if (target[row] != options.ignored_index) {
      loss += row_loss(dx, elements<T>(logits) + row * classes, classes, target[row], options);
    } else if (dx != nullptr) {
      std::fill(dx, dx + classes, T{0});
    }
  }
  return loss;
}

double cross_entropy_piece(const Tensor& dlogits, const Tensor& logits, const Tensor& targets,
                           const CrossEntropyOptions& options, int64_t begin, int64_t end) {
  return logits.dtype() == DType::f32
             ? rows_loss<float>(dlogits, logits, targets, options, begin, end)
             : rows_loss<double>(dlogits, logits, targets, options, begin, end);
}

}  // namespace
}  // namespace folio::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace folio::cpu {

HWY_EXPORT(cross_entropy_piece);

void cross_entropy(const Tensor& loss, const Tensor& dlogits, const Tensor& logits,
                   const Tensor& targets, const CrossEntropyOptions& options) {
  check_floating("cross_entropy", logits);
  const double sum = sum_over_pieces(
      logits.shape().rows(), grain_rows(logits.shape().columns()),
      [&](int64_t begin, int64_t end) {
        return HWY_DYNAMIC_DISPATCH(cross_entropy_piece)(dlogits, logits, targets, options, begin,
                                                         end);
      });
  fill(loss, options.scale * sum);
}

}  // namespace folio::cpu
#endif
