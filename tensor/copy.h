// Copies of tensors between devices.
#pragma once

#include "folio/tensor/tensor.h"

namespace folio {

/// to = from, for equal types and numbers of elements on any devices. On return, `from` may be
/// changed and `to` may be read. Throws Error if the tensors do not match.
void copy_tensor(const Tensor& to, const Tensor& from);

/// The tensor itself if it is on `device` already, otherwise a copy on that device.
Tensor on_device(const Tensor& tensor, Device device);

/// A CPU tensor in pinned (page-locked) memory, from and to which a GPU copies asynchronously; its
/// contents are undefined. Throws Error if there is no GPU.
Tensor pinned_tensor(const Shape& shape, DType dtype);

}  // namespace folio
