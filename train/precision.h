// The data type in which a run computes.
#pragma once

#include <string_view>

#include "folio/tensor/dtype.h"

namespace folio {

/// The type for train.precision (auto, f32, tf32 or bf16), given whether the device multiplies bf16
/// (multiplies_bf16()); auto is then bf16. Throws Error for bf16 if the device does not multiply
/// it.
DType computing_type(std::string_view precision, bool multiplies_bf16);

}  // namespace folio
