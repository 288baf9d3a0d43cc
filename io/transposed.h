// The transpose of a matrix, for file formats with the other layout.
#pragma once

#include "folio/tensor/tensor.h"

namespace folio {

/// Transposes (M, N) on the CPU to (N, M) of the same type. Throws Error unless it is a matrix.
Tensor transposed(const Tensor& matrix);

}  // namespace folio
