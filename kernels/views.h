// How kernels see the shapes of their tensors, on any device.
#pragma once

#include <array>
#include <cstdint>

#include "folio/tensor/shape.h"
#include "folio/tensor/tensor.h"

namespace folio {

/// x's dimensions in y's order, always four, each with the distance of its neighbours in x.
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

/// c (m, n) = op(a) op(b), op(a) (m, k) and op(b) (k, n), `count` times; a and b advance by a step
/// (0: one serves all), c by m n. Rows of a and b in memory are lda and ldb elements long.
struct MatrixProducts {
  int64_t m, n, k, lda, ldb, count = 1, step_a = 0, step_b = 0;

  /// As Kernels::matmul has them.
  MatrixProducts(const Tensor& c, const Tensor& a, bool transpose_a, const Tensor& b,
                 bool transpose_b)
      : m(transpose_a ? a.dim(-1) : a.dim(-2)),
        n(transpose_b ? b.dim(-2) : b.dim(-1)),
        k(transpose_a ? a.dim(-2) : a.dim(-1)),
        lda(a.dim(-1)),
        ldb(b.dim(-1)) {
    const int64_t leading = leading_dimensions(a);
    const bool one_b = b.shape().rank() == 2;
    if (leading_dimensions(c) != leading) {
      k *= leading;  // leading dimensions that c lacks are further rows of the inner one
    } else if (one_b && !transpose_a) {
      m *= leading;  // the a's lie below one another
    } else {
      count = leading;
      step_a = a.dim(-2) * a.dim(-1);
      step_b = one_b ? 0 : b.dim(-2) * b.dim(-1);
    }
  }

 private:
  static int64_t leading_dimensions(const Tensor& x) {
    int64_t count = 1;
    for (int axis = 0; axis + 2 < x.shape().rank(); ++axis) count *= x.dim(axis);
    return count;
  }
};

}  // namespace folio
