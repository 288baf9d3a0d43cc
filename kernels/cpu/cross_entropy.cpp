#include <algorithm>
#include <cmath>
#include <cstdint>
#include <type_traits>

#include "folio/kernels/cpu/pieces.h"
#include "folio/kernels/device_kernels.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "folio/kernels/cpu/cross_entropy.cpp"
#include <hwy/foreach_target.h>

#include "folio/kernels/cpu/softmax-inl.h"
#include "folio/kernels/cpu/vector-inl.h"

HWY_BEFORE_NAMESPACE();
namespace folio::cpu::HWY_NAMESPACE {
namespace {

/// Returns the loss of one row of V logits, unscaled. dx is its scaled gradient, scale (softmax -
/// (1 - epsilon) [i = target] - epsilon / V), or null if it is not needed.
template <class T>
HWY_INLINE double row_loss(T* dx, const T* x, int64_t V, int64_t target,
                           const CrossEntropyOptions& options) {
  using A = Arithmetic<T>;
  const double epsilon = options.label_smoothing;
  const A max = max_vectors(x, V, A{1});
  // Read before dx is written, since dx may be x.
  const double chosen = static_cast<double>(x[target]);
  const double mean = epsilon > 0.0 ? sum_vectors<T>(V, identity, x) / static_cast<double>(V) : 0.0;
  double sum;
  if (dx) {
    A* row = row_in_arithmetic(dx, V);
    sum = exp_row(row, x, V, V, A{1}, max);
    const double uniform = epsilon * options.scale / static_cast<double>(V);
    const A factor = static_cast<A>(options.scale / sum), offset = static_cast<A>(-uniform);
    const auto affine = [=](auto d, auto v) FOLIO_SIMD {
      return hn::MulAdd(v, hn::Set(d, factor), hn::Set(d, offset));
    };
    map_vectors<false>(row, V, affine, row);
    row[target] -= static_cast<A>((1.0 - epsilon) * options.scale);
    if constexpr (!std::is_same_v<T, A>) map_vectors<false>(dx, V, identity, row);
  } else {
    sum = exp_sum(x, V, max);
  }
  const double log_sum = static_cast<double>(max) + std::log(sum);
  const double likelihood = log_sum - chosen;
  return epsilon > 0.0 ? (1.0 - epsilon) * likelihood + epsilon * (log_sum - mean) : likelihood;
}

template <class T>
HWY_INLINE double rows_loss(const Tensor& dlogits, const Tensor& logits, const Tensor& targets,
                            const CrossEntropyOptions& options, int64_t begin, int64_t end) {
  const int64_t V = logits.shape().columns();
  const int32_t* target = elements<const int32_t>(targets);
  double loss = 0.0;
  for (int64_t r = begin; r < end; ++r) {
    T* dx = dlogits ? elements<T>(dlogits) + r * V : nullptr;
    if (target[r] == options.ignored_index) {
      if (dx) std::fill(dx, dx + V, T(0));
    } else {
      loss += row_loss(dx, elements<const T>(logits) + r * V, V, target[r], options);
    }
  }
  return loss;
}

double loss_piece(const Tensor& dlogits, const Tensor& logits, const Tensor& targets,
                  const CrossEntropyOptions& options, int64_t begin, int64_t end) {
  double loss = 0.0;
  with_type(logits.dtype(), [&]<class T>(Type<T>) HWY_ATTR {
    loss = rows_loss<T>(dlogits, logits, targets, options, begin, end);
  });
  return loss;
}

}  // namespace
}  // namespace folio::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace folio::cpu {

HWY_EXPORT(loss_piece);

void cross_entropy(const Tensor& loss, const Tensor& dlogits, const Tensor& logits,
                   const Tensor& targets, const CrossEntropyOptions& options) {
  check_floating("cross_entropy", logits);
  const int64_t columns = logits.shape().columns();
  const double sum =
      sum_over_pieces(logits.shape().rows(), grain_rows(columns), [&](int64_t begin, int64_t end) {
        return HWY_DYNAMIC_DISPATCH(loss_piece)(dlogits, logits, targets, options, begin, end);
      });
  fill(loss, options.scale * sum);
}

}  // namespace folio::cpu
#endif
