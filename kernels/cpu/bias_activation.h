// The bias and activation of a linear layer, applied to each tile of the product while it is in the
// cache.
#pragma once

#include <cstdint>
#include <optional>

#include "folio/kernels/kernels.h"

namespace folio::cpu {

/// z (rows, columns) += bias, unless bias is null; y = activation(z), or y = z without an
/// activation. Runs on the calling thread. All arrays are of type `dtype` (bf16, f32 or f64), and
/// the rows of y and z are `stride` elements apart. y may be z, which is then overwritten.
void bias_activation(DType dtype, void* y, void* z, const void* bias, int64_t rows, int64_t columns,
                     int64_t stride, std::optional<UnaryOp> activation);

/// Whether bias_activation() has this function: relu and both forms of gelu.
bool is_activation(UnaryOp op);

}  // namespace folio::cpu
