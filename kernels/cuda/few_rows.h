// Products of very few rows, as sampling has them: such a product is as fast as its weights can be
// read, which a kernel of our own does as well as any.
#pragma once

#include "folio/kernels/cuda/gemm.h"

namespace folio::cuda {

/// Whether few_rows_gemm takes a product: of at most four rows, with a as it is and b transposed.
bool has_few_rows(const GemmShape& shape);

/// The same as gemm() without an epilogue.
void few_rows_gemm(const GemmShape& shape, const void* a, const void* b, bool accumulate, void* c);

}  // namespace folio::cuda
