// Products of a few rows with a large matrix, as in text generation: their time is the time to read
// the matrix once.
#pragma once

#include <cstdint>

#include "folio/kernels/matrix_product.h"

namespace folio::cpu {

/// gemm() uses gemm_few_rows() up to this number of rows.
inline constexpr int64_t most_few_rows = 16;

/// Computes one product with A as it is and B transposed, for m up to most_few_rows, on the
/// calling thread. Each element of C is a dot product whose bits depend only on its row of A and
/// its row of B, not on m or n. The product's values are f32 or f64.
void gemm_few_rows(const MatrixProduct& product, const void* a, const void* b, void* c);

}  // namespace folio::cpu
