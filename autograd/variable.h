// A tensor, and the place of its gradient.
#pragma once

#include <cstdint>

#include "folio/tensor/tensor.h"

namespace folio {

/// Where the gradient of one value collects during the backward pass. It knows the gradient's shape
/// and type (the value's, but f32 for a parameter of which ops see a bf16 copy) but does not keep
/// the value alive: a closure that needs only the gradient captures the slot alone.
struct GradSlot {
  Shape shape;
  DType dtype = DType::f32;
  Tensor grad;              // empty until first needed
  bool written = false;     // whether grad holds something to accumulate to
  bool persistent = false;  // a parameter's or leaf's: outlives the closures that write it
};

/// A value in a computation. Without a slot it is a constant: no gradient flows into it.
/// Variables made by a tape are valid until its clear().
struct Variable {
  Tensor value;
  GradSlot* slot = nullptr;

  const Shape& shape() const { return value.shape(); }
  int64_t dim(int axis) const { return value.dim(axis); }
  bool needs_grad() const { return slot != nullptr; }
};

}  // namespace folio
