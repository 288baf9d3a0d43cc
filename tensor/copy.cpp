#include "folio/tensor/copy.h"

#include <cstring>

#include "folio/tensor/cuda.h"
#include "folio/tensor/error.h"

namespace folio {

void copy_tensor(const Tensor& to, const Tensor& from) {
  FOLIO_CHECK(to && from && to.dtype() == from.dtype() && to.numel() == from.numel(), "copy",
              "{} cannot be copied to {}; types and numbers of elements must agree",
              from.describe(), to.describe());
  const auto bytes = static_cast<size_t>(from.bytes());
  const bool to_gpu = to.device() == Device::cuda, from_gpu = from.device() == Device::cuda;
  if (bytes == 0) return;
  if (to_gpu && from_gpu) {
    cuda::copy_on_device(to.raw(), from.raw(), bytes);
  } else if (to_gpu) {
    cuda::upload(to.raw(), from.raw(), bytes);
  } else if (from_gpu) {
    cuda::download(to.raw(), from.raw(), bytes);
  } else {
    std::memmove(to.raw(), from.raw(), bytes);
  }
}

Tensor on_device(const Tensor& tensor, Device device) {
  if (!tensor || tensor.device() == device) return tensor;
  const Tensor moved(tensor.shape(), tensor.dtype(), device);
  copy_tensor(moved, tensor);
  return moved;
}

Tensor pinned_tensor(const Shape& shape, DType dtype) {
  return Tensor(shape, dtype, Device::cpu, cuda::pinned_pool());
}

}  // namespace folio
