// Products of very few rows, as in text generation: their time is the time to read the weights, for
// which a simple kernel is as good as the library.
#pragma once

#include "folio/kernels/matrix_product.h"

namespace folio::cuda {

/// Whether gemm_few_rows() supports the product: at most four rows, a as it is and b transposed.
bool has_few_rows(const MatrixProduct& product);

/// Like cublaslt_gemm() without an epilogue.
void gemm_few_rows(const MatrixProduct& product, const void* a, const void* b, void* c);

}  // namespace folio::cuda
