// The transpose of a matrix, for files that hold it the other way round.
#pragma once

#include "folio/tensor/tensor.h"

namespace folio {

/// (M, N) on the CPU becomes (N, M), of the same type. Throws Error for anything but a matrix.
Tensor transposed(const Tensor& matrix);

}  // namespace folio
