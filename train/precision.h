// In which type a run computes.
#pragma once

#include <string_view>

#include "folio/tensor/dtype.h"

namespace folio {

/// What train.precision (auto, f32, tf32 or bf16) means where the device multiplies bf16 or not
/// (see multiplies_bf16()): auto is bf16 where it does. Throws Error for bf16 where it does not.
DType computing_type(std::string_view precision, bool multiplies_bf16);

}  // namespace folio
