// What `folio profile` measures Folio's matrix products against: the same products by the library,
// called directly. Nothing that trains calls this.
#pragma once

#include "folio/kernels/matrix_product.h"

namespace folio {

/// Computes the product with dnnl_sgemm, or for bf16 with oneDNN's matmul. A single product is one
/// call, which oneDNN divides among threads as it chooses; of several products each is computed by
/// one thread. Without oneDNN there is no library to compare with, and this is Folio's own gemm().
void baseline_gemm(const MatrixProduct& product, const Tensor& a, const Tensor& b, const Tensor& c);

}  // namespace folio
