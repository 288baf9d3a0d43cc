// A tensor, and the place of its gradient.
#pragma once

#include <cstdint>

#include "folio/tensor/tensor.h"

namespace folio {

/// The place that accumulates the gradient of a value during the backward pass. It knows the
/// gradient's shape and type (those of the value, but f32 for a parameter with a bf16 copy) and
/// does not keep the value alive: a closure that needs only the gradient captures only the slot.
struct GradSlot {
  Shape shape;
  DType dtype = DType::f32;
  Tensor grad;              // empty until first needed
  bool written = false;     // whether grad holds a gradient to add to
  bool persistent = false;  // of a parameter or leaf: kept after the closures that write it
};

/// A value in a computation. Without a slot it is a constant: no gradient flows into it.
///
/// A variable that a tape made is part of a graph until the tape's backward() or clear(), a leaf
/// until clear(). Its value stays valid; to use it in a later graph, pass detach().
struct Variable {
  Tensor value;
  GradSlot* slot = nullptr;
  uint64_t graph = 0;  // number of its graph; 0 for parameters and constants

  /// The same value as a constant.
  Variable detach() const { return {value}; }
  const Shape& shape() const { return value.shape(); }
  int64_t dim(int axis) const { return value.dim(axis); }
  bool needs_grad() const { return slot != nullptr; }
};

}  // namespace folio
