#include <cstdint>

#include "folio/kernels/cuda/reduce.h"
#include "folio/kernels/device_kernels.h"

namespace folio::cuda {
namespace {

constexpr int threads = 128;  // per row

/// y = exp(x - max) / sum, or x - max - ln sum.
template <class T>
__global__ void softmax_kernel(T* y, const T* x, int64_t columns, bool logarithm) {
  x += blockIdx.x * columns;
  y += blockIdx.x * columns;
  float max = -INFINITY;
  for (int64_t i = threadIdx.x; i < columns; i += threads) max = Max()(widen(x[i]), max);
  max = block_reduce<Max, threads>(max);
  float sum = 0.0f;
  for (int64_t i = threadIdx.x; i < columns; i += threads) sum += expf(widen(x[i]) - max);
  sum = block_reduce<Add, threads>(sum);
  const float log_sum = logf(sum), inverse = 1.0f / sum;
  for (int64_t i = threadIdx.x; i < columns; i += threads) {
    const float distance = widen(x[i]) - max;
    y[i] = narrow<T>(logarithm ? distance - log_sum : expf(distance) * inverse);
  }
}

/// dx = y (dy - sum(dy y)), or dy - exp(y) sum(dy) for the logarithm.
template <class Y, class T>
__global__ void softmax_backward_kernel(Y* dx, bool accumulate, const T* y, const T* dy,
                                        int64_t columns, bool logarithm) {
  const int64_t first = blockIdx.x * columns;
  float sum = 0.0f;
  for (int64_t i = threadIdx.x; i < columns; i += threads) {
    const float g = widen(dy[first + i]);
    sum += logarithm ? g : g * widen(y[first + i]);
  }
  sum = block_reduce<Add, threads>(sum);
  for (int64_t i = threadIdx.x; i < columns; i += threads) {
    const float g = widen(dy[first + i]), p = widen(y[first + i]);
    write_sum(dx + first + i, accumulate, logarithm ? g - expf(p) * sum : p * (g - sum));
  }
}

}  // namespace

void softmax_forward(const Tensor& y, const Tensor& x, bool logarithm) {
  check_floating("softmax", x);
  with_type(x.dtype(), [&]<class T>(Type<T>) {
    launch("softmax_forward", {x.shape().rows(), threads}, softmax_kernel<T>, elements<T>(y),
           elements<const T>(x), x.shape().columns(), logarithm);
  });
}

void softmax_backward(GradTarget dx, const Tensor& y, const Tensor& dy, bool logarithm) {
  if (!dx) return;
  check_floating("softmax", dy);
  with_types(dx.tensor->dtype(), dy.dtype(), [&]<class Y, class T>(Type<Y>, Type<T>) {
    launch("softmax_backward", {y.shape().rows(), threads}, softmax_backward_kernel<Y, T>,
           elements<Y>(*dx.tensor), dx.accumulate, elements<const T>(y), elements<const T>(dy),
           y.shape().columns(), logarithm);
  });
}

}  // namespace folio::cuda
