// Shapes: values of up to four dimensions, without heap memory.
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <string>

namespace folio {

/// A tensor's dimensions, outermost first, rank 0 (a scalar) to 4. Dimensions are >= 0.
class Shape {
 public:
  static constexpr int max_rank = 4;

  Shape() = default;
  /// Throws Error for more than four dimensions, a negative dimension, or 2^60 elements or more.
  Shape(std::initializer_list<int64_t> dims);

  int rank() const { return rank_; }
  /// Dimension `axis`; negative axes count from the end. Throws Error if it is out of range.
  int64_t operator[](int axis) const;
  /// The product of all dimensions; 1 for a scalar.
  int64_t numel() const { return rows() * columns(); }
  /// The last dimension; 1 for a scalar.
  int64_t columns() const { return rank_ == 0 ? 1 : dim_[rank_ - 1]; }
  /// The product of all dimensions but the last; 1 for a scalar.
  int64_t rows() const;
  /// The same shape with dimension `axis` (negative: from the end) set to `size`.
  Shape with(int axis, int64_t size) const;
  /// The same shape with one more dimension, the last. Throws Error if it has four already.
  Shape with_last(int64_t size) const;
  /// The same shape without its last dimension; a scalar stays a scalar.
  Shape without_last() const;
  /// Converts an axis that may count from the end to 0..rank-1. Throws Error if it is out of range.
  int normalize_axis(int axis) const;
  /// "(2, 3, 4)"; "()" for a scalar.
  std::string to_string() const;

  bool operator==(const Shape&) const = default;

 private:
  void check_size() const;

  std::array<int64_t, max_rank> dim_{};
  int8_t rank_ = 0;
};

}  // namespace folio
