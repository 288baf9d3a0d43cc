// Where a kernel writes a gradient.
#pragma once

#include "folio/tensor/tensor.h"

namespace folio {

/// A kernel overwrites the tensor, or adds to it if `accumulate` is set: the first kernel that
/// writes a gradient in a step overwrites it, and later ones accumulate. An empty target (false)
/// stands for a gradient that is not needed; kernels skip it.
struct GradTarget {
  const Tensor* tensor = nullptr;
  bool accumulate = false;
  explicit operator bool() const { return tensor != nullptr; }
};

}  // namespace folio
