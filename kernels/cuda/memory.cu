#include "folio/kernels/cuda/elementwise.h"
#include "folio/kernels/cuda/table.h"

namespace folio::cuda {
namespace {

template <class T>
__global__ void fill_kernel(T* y, int64_t n, T value) {
  const int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (i < n) y[i] = value;
}

template <class T>
void fill_elements(const Tensor& y, T value) {
  launch("fill", {pieces_of(y.numel(), 256)}, fill_kernel<T>, elements<T>(y), y.numel(), value);
}

struct Same : Map {
  __device__ float operator()(int64_t, float x) const { return x; }
};

struct Times : Map {
  const float* factor;
  float value = 0.0f;
  explicit Times(const float* factor) : factor(factor) {}
  __device__ void begin() { value = *factor; }
  __device__ float operator()(int64_t, float x) const { return value * x; }
};

}  // namespace

void fill(const Tensor& y, double value) {
  if (y.dtype() == DType::i32) return fill_elements(y, static_cast<int32_t>(value));
  check_floating("fill", y);
  if (y.dtype() == DType::bf16) return fill_elements(y, bf16(static_cast<float>(value)));
  fill_elements(y, static_cast<float>(value));
}

void copy(GradTarget y, const Tensor& x) {
  if (!y || y.tensor->numel() == 0) return;
  const Tensor& out = *y.tensor;
  if (!y.accumulate && out.dtype() == x.dtype()) {
    if (out.raw() != x.raw()) {
      copy_on_device(out.raw(), x.raw(), static_cast<size_t>(x.bytes()));
    }
    return;
  }
  check_floating("copy", x);
  check_floating("copy", out);
  with_type(out.dtype(), [&]<class Y>(Type<Y>) {
    with_type(x.dtype(), [&]<class T>(Type<T>) {
      map_elements("copy", elements<Y>(out), x.numel(), y.accumulate, Same(), elements<const T>(x));
    });
  });
}

void scale(GradTarget y, const Tensor& x, const Tensor& factor) {
  if (!y) return;
  check_floating("scale", x);
  check_f32("scale", factor);
  with_types(y.tensor->dtype(), x.dtype(), [&]<class Y, class T>(Type<Y>, Type<T>) {
    map_elements("scale", elements<Y>(*y.tensor), x.numel(), y.accumulate,
                 Times(elements<const float>(factor)), elements<const T>(x));
  });
}

}  // namespace folio::cuda
