#include "folio/tensor/shape.h"

#include "folio/tensor/error.h"

namespace folio {

Shape::Shape(std::initializer_list<int64_t> dims) {
  FOLIO_CHECK(dims.size() <= max_rank, "shape", "{} dimensions given; at most {} are supported",
              dims.size(), max_rank);
  for (int64_t dim : dims) {
    FOLIO_CHECK(dim >= 0, "shape", "dimension {} is {}; dimensions must be >= 0", rank_, dim);
    dim_[rank_++] = dim;
  }
}

int64_t Shape::operator[](int axis) const { return dim_[normalize_axis(axis)]; }

int64_t Shape::numel() const {
  int64_t product = 1;
  for (int i = 0; i < rank_; ++i) product *= dim_[i];
  return product;
}

int64_t Shape::rows() const {
  int64_t product = 1;
  for (int i = 0; i + 1 < rank_; ++i) product *= dim_[i];
  return product;
}

Shape Shape::with(int axis, int64_t size) const {
  FOLIO_CHECK(size >= 0, "shape", "dimension {} set to {}; dimensions must be >= 0", axis, size);
  Shape result = *this;
  result.dim_[normalize_axis(axis)] = size;
  return result;
}

Shape Shape::without_last() const {
  Shape result = *this;
  if (result.rank_ > 0) result.dim_[--result.rank_] = 0;
  return result;
}

int Shape::normalize_axis(int axis) const {
  const int normalized = axis < 0 ? axis + rank_ : axis;
  FOLIO_CHECK(normalized >= 0 && normalized < rank_, "shape", "axis {} is out of range for shape {}",
              axis, to_string());
  return normalized;
}

std::string Shape::to_string() const {
  std::string text = "(";
  for (int i = 0; i < rank_; ++i) text += fmt::format("{}{}", i == 0 ? "" : ", ", dim_[i]);
  return text + ")";
}

}  // namespace folio
