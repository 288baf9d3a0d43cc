// Tensors from one device's memory to another's.
#pragma once

#include "folio/tensor/tensor.h"

namespace folio {

/// to = from: equal types and numbers of elements, any devices. When it returns, `from` may be
/// changed, and `to` read. Throws Error for tensors that do not match.
void copy_tensor(const Tensor& to, const Tensor& from);

/// The same values on `device`: the tensor itself if it is there already, otherwise a new one.
Tensor on_device(const Tensor& tensor, Device device);

/// A CPU tensor in pinned memory, which a GPU copies from and to on its own; contents undefined.
/// Throws Error where there is no GPU.
Tensor pinned_tensor(const Shape& shape, DType dtype);

}  // namespace folio
