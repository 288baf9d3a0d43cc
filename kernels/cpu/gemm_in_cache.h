// Products of the small blocks that attention consists of, which fit in the caches.
#pragma once

#include <cstdint>

#include "folio/kernels/matrix_product.h"

namespace folio::cpu {

/// Computes one product of f32 or f64 with B as it is (A may be transposed) on the calling thread,
/// without packing: A and B are read in place. If k is 0 the product is 0. Fastest if n is a
/// multiple of 32 and B fits in the second-level cache.
void gemm_in_cache(const MatrixProduct& product, const void* a, const void* b, void* c);

/// y (columns, rows) = the transpose of x (rows, columns), of type f32 or f64. Rows of x are ldx
/// elements apart in memory and rows of y are ldy apart.
void transpose_in_cache(DType dtype, int64_t rows, int64_t columns, const void* x, int64_t ldx,
                        void* y, int64_t ldy);

}  // namespace folio::cpu
