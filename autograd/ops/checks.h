// Checks that several ops share. `op` is the op's name, with which messages begin.
#pragma once

#include <cstdint>

#include "folio/autograd/variable.h"
#include "folio/tensor/error.h"

namespace folio {

/// Throws Error unless x is a floating tensor.
inline void check_floating(const char* op, const char* name, const Tensor& x) {
  FOLIO_CHECK(x, op, "{} is an empty tensor", name);
  FOLIO_CHECK(x.dtype() != DType::i32, op, "{} is {}; wanted bf16, f32 or f64", name, x.describe());
}

/// Throws Error unless x has the type of `like`.
inline void check_same_type(const char* op, const char* name, const Tensor& x, const Tensor& like) {
  FOLIO_CHECK(x, op, "{} is an empty tensor", name);
  FOLIO_CHECK(x.dtype() == like.dtype() && x.device() == like.device(), op,
              "{} is {} on {}; wanted {} on {}", name, x.describe(), name_of(x.device()),
              name_of(like.dtype()), name_of(like.device()));
}

/// Throws Error unless x has exactly this shape and the type of `like`.
inline void check_shape(const char* op, const char* name, const Tensor& x, const Shape& shape,
                        const Tensor& like) {
  check_same_type(op, name, x, like);
  FOLIO_CHECK(x.shape() == shape, op, "{} is {}; wanted {}", name, x.describe(), shape.to_string());
}

/// Turns an axis that may count from the end into 0..rank-1. Throws Error when out of range.
inline int checked_axis(const char* op, const Shape& shape, int axis) {
  FOLIO_CHECK(axis >= -shape.rank() && axis < shape.rank(), op,
              "axis {} is out of range for shape {}", axis, shape.to_string());
  return shape.normalize_axis(axis);
}

/// Throws Error unless every index is in [0, limit). Indices on a GPU are not checked, because
/// reading them would wait for it.
inline void check_indices(const char* op, const char* name, const Tensor& indices, int64_t limit) {
  FOLIO_CHECK(indices && indices.dtype() == DType::i32, op, "{} is {}; wanted i32", name,
              indices.describe());
  if (indices.device() != Device::cpu) return;
  const int32_t* values = indices.data<int32_t>();
  for (int64_t i = 0; i < indices.numel(); ++i) {
    FOLIO_CHECK(values[i] >= 0 && values[i] < limit, op,
                "element {} of {} is {}; wanted at least 0 and below {}", i, name, values[i],
                limit);
  }
}

}  // namespace folio
