// How the operands of a broadcasting op lie in memory.
#pragma once

#include <cstdint>

#include "folio/tensor/tensor.h"

namespace folio::cpu {

/// As large as the result, or one row for all of its rows, or one element for everything.
enum class Extent : uint8_t { full, row, one };

inline Extent extent_of(const Tensor& operand, const Tensor& result) {
  if (operand.numel() == result.numel()) return Extent::full;
  return operand.numel() == 1 ? Extent::one : Extent::row;
}

/// An operand; a default-constructed one is not used.
struct Operand {
  const void* memory = nullptr;
  Extent extent = Extent::one;

  Operand() = default;
  Operand(const Tensor& tensor, const Tensor& result)
      : memory(tensor.raw()), extent(extent_of(tensor, result)) {}
};

/// `rows` rows of `columns` elements of the result, the first at element `first`, `stride` apart.
/// Operands of one row begin at their element first_column.
struct Part {
  int64_t first, rows, columns, stride, first_column;
};

/// A binary op's gradient for one operand: dy, -dy, dy b, dy / b, -dy a / b^2.
enum class Slope : uint8_t { plus, minus, times, over, quotient };

}  // namespace folio::cpu
