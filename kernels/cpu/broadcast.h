// How the operands of a broadcasting op lie in memory.
#pragma once

#include <cstdint>

#include "folio/tensor/tensor.h"

namespace folio::cpu {

/// An operand is as large as the result, or one row that is used for every row, or one element that
/// is used for every element.
enum class Extent : uint8_t { full, row, one };

inline Extent extent_of(const Tensor& operand, const Tensor& result) {
  if (operand.numel() == result.numel()) return Extent::full;
  return operand.numel() == 1 ? Extent::one : Extent::row;
}

/// An operand. A default-constructed one is unused.
struct Operand {
  const void* memory = nullptr;
  Extent extent = Extent::one;

  Operand() = default;
  Operand(const Tensor& tensor, const Tensor& result)
      : memory(tensor.raw()), extent(extent_of(tensor, result)) {}
};

/// `rows` rows of `columns` elements of the result. The first starts at element `first`, and they
/// are `stride` elements apart. Operands that are one row start at their element first_column.
struct Part {
  int64_t first, rows, columns, stride, first_column;
};

/// The gradient of a binary op for one operand: dy, -dy, dy b, dy / b, -dy a / b^2.
enum class Slope : uint8_t { plus, minus, times, over, quotient };

}  // namespace folio::cpu
