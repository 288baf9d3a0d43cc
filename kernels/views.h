// How kernels see the shapes of tensors, on any device.
#pragma once

#include <array>
#include <cstdint>

#include "folio/tensor/shape.h"

namespace folio {

/// The dimensions of x in the order of y, always four, and for each the distance in x from one
/// index to the next.
struct Permutation {
  int64_t dim[4] = {1, 1, 1, 1}, stride[4] = {0, 0, 0, 0};

  Permutation(const Shape& x, const std::array<int, 4>& axes) {
    const int rank = x.rank();
    std::array<int64_t, 4> strides{};
    int64_t step = 1;
    for (int axis = rank - 1; axis >= 0; --axis) {
      strides[axis] = step;
      step *= x[axis];
    }
    for (int i = 0; i < rank; ++i) {
      dim[4 - rank + i] = x[axes[i]];
      stride[4 - rank + i] = strides[axes[i]];
    }
  }
};

/// A tensor seen from one axis: `outer` pieces of `size` indices of `inner` elements.
struct AxisView {
  int64_t outer = 1, size, inner = 1;

  AxisView(const Shape& shape, int axis) : size(shape[axis]) {
    for (int i = 0; i < axis; ++i) outer *= shape[i];
    for (int i = axis + 1; i < shape.rank(); ++i) inner *= shape[i];
  }
};

}  // namespace folio
