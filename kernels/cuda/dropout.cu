#include <cstdint>

#include "folio/kernels/cuda/elementwise.h"
#include "folio/kernels/device_kernels.h"

namespace folio::cuda {
namespace {

template <class Y, class T>
__global__ void dropout_kernel(Y* y, const T* x, int64_t n, bool accumulate, bool packed,
                               Dropper mask) {
  const int64_t first = (int64_t{blockIdx.x} * blockDim.x + threadIdx.x) * map_width;
  if (first >= n) return;
  const Dropper dropper = mask.resolved();
  if (packed && first + map_width <= n) {
    const Pack<T, map_width> in = load_pack<map_width>(x + first);
    Pack<Y, map_width> out;
    if (accumulate) out = load_pack<map_width>(y + first);
    float value[map_width];
    for (int i = 0; i < map_width; ++i) value[i] = widen(in.at[i]);
    dropper.apply(value, first);
    for (int i = 0; i < map_width; ++i) {
      out.at[i] = narrow<Y>(accumulate ? widen(out.at[i]) + value[i] : value[i]);
    }
    store_pack(y + first, out);
    return;
  }
  for (int64_t i = first; i < first + map_width && i < n; ++i) {
    const float value = dropper(widen(x[i]), i);
    y[i] = narrow<Y>(accumulate ? widen(y[i]) + value : value);
  }
}

}  // namespace

void dropout(GradTarget y, const Tensor& x, const DropoutMask& mask) {
  if (!y) return;
  if (mask.probability == 0.0) return copy(y, x);
  check_floating("dropout", x);
  with_types(y.tensor->dtype(), x.dtype(), [&]<class Y, class T>(Type<Y>, Type<T>) {
    Y* out = elements<Y>(*y.tensor);
    const T* in = elements<const T>(x);
    const int64_t n = x.numel();
    const bool packed = aligned(out, map_width * sizeof(Y)) && aligned(in, map_width * sizeof(T));
    launch("dropout", {pieces_of(n, 256 * map_width)}, dropout_kernel<Y, T>, out, in, n,
           y.accumulate, packed, Dropper(mask));
  });
}

}  // namespace folio::cuda
