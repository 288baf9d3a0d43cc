#include "folio/tensor/shape.h"

#include <fmt/core.h>

#include <algorithm>

#include "folio/tensor/error.h"

namespace folio {

Shape::Shape(std::initializer_list<int64_t> dims) {
  FOLIO_CHECK(dims.size() <= max_rank, "shape", "{} dimensions given; at most {} are supported",
              dims.size(), max_rank);
  for (int64_t dim : dims) {
    FOLIO_CHECK(dim >= 0, "shape", "dimension {} is {}; dimensions must be >= 0", rank_, dim);
    dim_[rank_++] = dim;
  }
  check_size();
}

void Shape::check_size() const {
  constexpr int64_t most_elements = INT64_MAX / 8;  // so that the bytes of any type can be counted
  int64_t product = 1;
  for (int i = 0; i < rank_; ++i) {
    // If a dimension is 0, the others must still be countable: views multiply some of them.
    const bool fits = !__builtin_mul_overflow(product, std::max<int64_t>(dim_[i], 1), &product);
    FOLIO_CHECK(fits && product <= most_elements, "shape",
                "{} has more elements than memory can be addressed for; use smaller dimensions",
                to_string());
  }
}

int64_t Shape::operator[](int axis) const { return dim_[normalize_axis(axis)]; }

int64_t Shape::rows() const {
  int64_t product = 1;
  for (int i = 0; i + 1 < rank_; ++i) product *= dim_[i];
  return product;
}

Shape Shape::with(int axis, int64_t size) const {
  FOLIO_CHECK(size >= 0, "shape", "dimension {} set to {}; dimensions must be >= 0", axis, size);
  Shape result = *this;
  result.dim_[normalize_axis(axis)] = size;
  result.check_size();
  return result;
}

Shape Shape::with_last(int64_t size) const {
  FOLIO_CHECK(rank_ < max_rank, "shape", "{} has {} dimensions, which is the most", to_string(),
              max_rank);
  Shape result = *this;
  ++result.rank_;
  return result.with(-1, size);
}

Shape Shape::without_last() const {
  Shape result = *this;
  if (result.rank_ > 0) result.dim_[--result.rank_] = 0;
  return result;
}

int Shape::normalize_axis(int axis) const {
  const int normalized = axis < 0 ? axis + rank_ : axis;
  FOLIO_CHECK(normalized >= 0 && normalized < rank_, "shape",
              "axis {} is out of range for shape {}", axis, to_string());
  return normalized;
}

std::string Shape::to_string() const {
  std::string text = "(";
  for (int i = 0; i < rank_; ++i) text += fmt::format("{}{}", i == 0 ? "" : ", ", dim_[i]);
  return text + ")";
}

}  // namespace folio
