// Sums over ranks, element by element in the order of the ranks.
#pragma once

#include <cstdint>
#include <vector>

#include "folio/tensor/tensor.h"

namespace folio {

/// sum = or += inputs[0] + inputs[1] + ..., added in this order, beginning with what sum holds
/// where it accumulates. The inputs point to as many elements, of its type, as sum has; one of them
/// may be sum's own memory. bf16 is added in f32 and rounded once. Without inputs an overwritten
/// sum is 0.
void add_in_order(GradTarget sum, const std::vector<const void*>& inputs);

}  // namespace folio
