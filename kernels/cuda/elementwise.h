// Elementwise kernels: y[i] = or += f(i, a[i], b[i], ...), with eight adjacent elements per thread,
// 16 bytes at a time if all memory is aligned.
#pragma once

#include <cstdint>

#include "folio/kernels/cuda/element.h"
#include "folio/kernels/cuda/launch.h"
#include "folio/kernels/cuda/types.h"

namespace folio::cuda {

inline constexpr int map_width = 8;

/// Computes the eight elements from `first` on: y[i] = or += f(i, x[i]...), in float.
template <class F, class Y, class... X>
__device__ void map_neighbours(Y* y, int64_t n, bool accumulate, bool packed, int64_t first,
                               const F& f, const X*... x) {
  if (packed && first + map_width <= n) {
    const auto store = [&](const auto&... loaded) {
      Pack<Y, map_width> result;
      if (accumulate) result = load_pack<map_width>(y + first);
      for (int i = 0; i < map_width; ++i) {
        float value = f(first + i, widen(loaded.at[i])...);
        if (accumulate) value += widen(result.at[i]);
        result.at[i] = narrow<Y>(value);
      }
      store_pack(y + first, result);
    };
    store(load_pack<map_width>(x + first)...);
    return;
  }
  for (int64_t i = first; i < first + map_width && i < n; ++i) {
    float value = f(i, widen(x[i])...);
    if (accumulate) value += widen(y[i]);
    y[i] = narrow<Y>(value);
  }
}

template <class F, class Y, class... X>
__global__ void map_kernel(Y* y, int64_t n, bool accumulate, bool packed, F f, const X*... x) {
  const int64_t first = (int64_t{blockIdx.x} * blockDim.x + threadIdx.x) * map_width;
  if (first < n) map_neighbours(y, n, accumulate, packed, first, f, x...);
}

/// Launches map_kernel over the n elements of y and of each x.
template <class F, class Y, class... X>
void map_elements(const char* name, Y* y, int64_t n, bool accumulate, const F& f, const X*... x) {
  const bool packed =
      aligned(y, map_width * sizeof(Y)) && (aligned(x, map_width * sizeof(X)) && ...);
  const Grid grid{pieces_of(n, 256 * map_width)};
  launch(name, grid, map_kernel<F, Y, X...>, y, n, accumulate, packed, f, x...);
}

}  // namespace folio::cuda
