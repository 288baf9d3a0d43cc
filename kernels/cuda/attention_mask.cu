#include <cstdint>

#include "folio/kernels/cuda/attention_cudnn.h"
#include "folio/kernels/cuda/elementwise.h"

namespace folio::cuda {
namespace {

__global__ void mask_kernel(bf16* mask, int64_t n, Dropper unresolved) {
  const int64_t first = (int64_t{blockIdx.x} * blockDim.x + threadIdx.x) * map_width;
  if (first >= n) return;
  const Dropper dropper = unresolved.resolved();
  float kept[map_width];
  for (float& x : kept) x = 1.0f;
  dropper.apply(kept, static_cast<uint64_t>(first));
  for (int i = 0; i < map_width && first + i < n; ++i) {
    mask[first + i] = narrow<bf16>(kept[i] > 0.0f ? 1.0f : 0.0f);
  }
}

}  // namespace

void draw_mask(const Tensor& mask, const DropoutMask& dropout) {
  launch("draw_mask", {pieces_of(mask.numel(), 256 * map_width)}, mask_kernel, elements<bf16>(mask),
         mask.numel(), Dropper(dropout));
}

}  // namespace folio::cuda
