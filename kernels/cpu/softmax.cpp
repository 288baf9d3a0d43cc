#include <cmath>
#include <cstdint>

#include "folio/kernels/cpu/pieces.h"
#include "folio/kernels/device_kernels.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "folio/kernels/cpu/softmax.cpp"
#include <hwy/foreach_target.h>

#include "folio/kernels/cpu/softmax-inl.h"
#include "folio/kernels/cpu/vector-inl.h"

HWY_BEFORE_NAMESPACE();
namespace folio::cpu::HWY_NAMESPACE {
namespace {

void forward_piece(const Tensor& y, const Tensor& x, bool logarithm, int64_t begin, int64_t end) {
  const int64_t n = x.shape().columns();
  with_type(x.dtype(), [&]<class T>(Type<T>) HWY_ATTR {
    using A = Arithmetic<T>;
    for (int64_t r = begin; r < end; ++r) {
      T* out = elements<T>(y) + r * n;
      const T* in = elements<T>(x) + r * n;
      const A max = max_vectors(in, n, A{1});
      if (logarithm) {
        const A log_sum = static_cast<A>(std::log(exp_sum(in, n, max)));
        // Subtract in two steps, so that the largest element minus the maximum is exactly 0.
        const auto log_softmax = [=](auto d, auto v) FOLIO_SIMD {
          return hn::Sub(hn::Sub(v, hn::Set(d, max)), hn::Set(d, log_sum));
        };
        map_vectors<false>(out, n, log_softmax, in);
      } else {
        A* exponentials = row_in_arithmetic(out, n);
        const double sum = exp_row(exponentials, in, n, n, A{1}, max);
        map_vectors<false>(out, n, times_constant(static_cast<A>(1.0 / sum)), exponentials);
      }
    }
  });
}

void backward_piece(GradTarget dx, const Tensor& y, const Tensor& dy, bool logarithm, int64_t begin,
                    int64_t end) {
  const int64_t n = y.shape().columns();
  with_types(dx.tensor->dtype(), y.dtype(), [&]<class Y, class T>(Type<Y>, Type<T>) HWY_ATTR {
    using A = Arithmetic<T>;
    for (int64_t r = begin; r < end; ++r) {
      Y* out = elements<Y>(*dx.tensor) + r * n;
      const T *result = elements<T>(y) + r * n, *slope = elements<T>(dy) + r * n;
      if (logarithm) {
        const A sum = static_cast<A>(sum_vectors<T>(n, identity, slope));
        const auto gradient = [=](auto d, auto vy, auto vdy) FOLIO_SIMD {
          return hn::NegMulAdd(exp_nonpositive(d, vy), hn::Set(d, sum), vdy);
        };
        map_vectors(dx.accumulate, out, n, gradient, result, slope);
      } else {
        const A dot = static_cast<A>(sum_vectors<T>(n, times, result, slope));
        const auto gradient = [=](auto d, auto vy, auto vdy)
                                  FOLIO_SIMD { return hn::Mul(vy, hn::Sub(vdy, hn::Set(d, dot))); };
        map_vectors(dx.accumulate, out, n, gradient, result, slope);
      }
    }
  });
}

}  // namespace
}  // namespace folio::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace folio::cpu {

HWY_EXPORT(forward_piece);
HWY_EXPORT(backward_piece);

void softmax_forward(const Tensor& y, const Tensor& x, bool logarithm) {
  check_floating("softmax", x);
  parallel_for(x.shape().rows(), grain_rows(x.shape().columns()), [&](int64_t begin, int64_t end) {
    HWY_DYNAMIC_DISPATCH(forward_piece)(y, x, logarithm, begin, end);
  });
}

void softmax_backward(GradTarget dx, const Tensor& y, const Tensor& dy, bool logarithm) {
  if (!dx) return;
  check_floating("softmax", y);
  parallel_for(y.shape().rows(), grain_rows(y.shape().columns()), [&](int64_t begin, int64_t end) {
    HWY_DYNAMIC_DISPATCH(backward_piece)(dx, y, dy, logarithm, begin, end);
  });
}

}  // namespace folio::cpu
#endif
