// Chooses the type that a run computes in.
#pragma once

#include <string_view>

#include "folio/tensor/dtype.h"

namespace folio {

/// The type that train.precision (auto, f32, tf32 or bf16) selects, given whether the device
/// multiplies bf16 matrices, see multiplies_bf16(). "auto" is bf16 if it does. Throws Error for
/// bf16 if it does not.
DType computing_type(std::string_view precision, bool multiplies_bf16);

}  // namespace folio
