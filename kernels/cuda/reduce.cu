#include "folio/kernels/cuda/reduce.h"
#include "folio/kernels/device_kernels.h"

namespace folio::cuda {
namespace {

template <class T>
__global__ void sum_row_kernel(T* y, const T* x, int64_t columns, double factor) {
  const T* row = x + blockIdx.x * columns;
  double sum = 0.0;
  for (int64_t i = threadIdx.x; i < columns; i += 128) sum += static_cast<double>(widen(row[i]));
  sum = block_reduce<Add, 128>(sum);
  if (threadIdx.x == 0) y[blockIdx.x] = narrow<T>(static_cast<float>(factor * sum));
}

template <class Y, class T>
__global__ void spread_kernel(Y* dx, bool accumulate, const T* dy, int64_t n, int64_t columns,
                              double factor) {
  const int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (i >= n) return;
  const double value = factor * static_cast<double>(widen(dy[i / columns]));
  write_sum(dx + i, accumulate, static_cast<float>(value));
}

void add_rows(const char* name, GradTarget y, const Tensor& x, int64_t columns) {
  check_floating(name, x);
  const int64_t rows = columns > 0 ? x.numel() / columns : 0;
  with_types(y.tensor->dtype(), x.dtype(), [&]<class Y, class T>(Type<Y>, Type<T>) {
    sum_columns(name, elements<Y>(*y.tensor), y.accumulate, rows, columns,
                Terms<T>{elements<const T>(x)});
  });
}

}  // namespace

void sum_forward(const Tensor& y, const Tensor& x, double factor) {
  check_floating("sum", x);
  with_type(x.dtype(), [&]<class T>(Type<T>) {
    if (y.numel() == 1) {
      sum_everything("sum_forward", elements<T>(y), false, x.numel(),
                     Terms<T>{elements<const T>(x)}, factor);
    } else {
      launch("sum_forward", {y.numel(), 128}, sum_row_kernel<T>, elements<T>(y),
             elements<const T>(x), x.shape().columns(), factor);
    }
  });
}

void sum_backward(GradTarget dx, const Tensor& dy, double factor) {
  if (!dx) return;
  check_floating("sum", dy);
  const int64_t n = dx.tensor->numel(), rows = dy.numel();
  if (n == 0) return;
  with_types(dx.tensor->dtype(), dy.dtype(), [&]<class Y, class T>(Type<Y>, Type<T>) {
    launch("sum_backward", {pieces_of(n, 256)}, spread_kernel<Y, T>, elements<Y>(*dx.tensor),
           dx.accumulate, elements<const T>(dy), n, n / rows, factor);
  });
}

void sum_rows(GradTarget y, const Tensor& x) {
  if (y) add_rows("sum_rows", y, x, x.shape().columns());
}

void sum_first(GradTarget y, const Tensor& x) {
  if (y) add_rows("sum_first", y, x, y.tensor->numel());
}

}  // namespace folio::cuda
