#include <algorithm>
#include <cstdint>

#include "folio/kernels/cuda/elementwise.h"
#include "folio/kernels/device_kernels.h"

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

struct Same {
  __device__ float operator()(int64_t, float x) const { return x; }
};

/// Few enough blocks that the kernel costs almost nothing if the factor is 1 and there is nothing
/// to do.
constexpr int64_t most_scale_blocks = 2048;

template <class Y, class T>
__global__ void scale_kernel(Y* y, int64_t n, bool accumulate, bool packed, bool in_place,
                             const T* x, const float* factor) {
  const float value = *factor;
  if (value == 1.0f && in_place && !accumulate) return;
  const int64_t stride = int64_t{gridDim.x} * blockDim.x * map_width;
  for (int64_t first = (int64_t{blockIdx.x} * blockDim.x + threadIdx.x) * map_width; first < n;
       first += stride) {
    map_neighbours(
        y, n, accumulate, packed, first, [&](int64_t, float xi) { return value * xi; }, x);
  }
}

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
    Y* out = elements<Y>(*y.tensor);
    const T* in = elements<const T>(x);
    const int64_t n = x.numel();
    const bool packed = aligned(out, map_width * sizeof(Y)) && aligned(in, map_width * sizeof(T));
    launch("scale", {std::min(pieces_of(n, 256 * map_width), most_scale_blocks)},
           scale_kernel<Y, T>, out, n, y.accumulate, packed, y.tensor->raw() == x.raw(), in,
           elements<const float>(factor));
  });
}

}  // namespace folio::cuda
