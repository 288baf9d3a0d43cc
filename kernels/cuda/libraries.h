// NVIDIA's libraries beneath matrix products and attention: their handles, one each for the
// process's GPU, and their errors. Memory that they need for themselves comes from the pool, as a
// Tensor: what is put on the compute stream later may have it again.
#pragma once

#include <cublasLt.h>
#include <cudnn.h>

namespace folio::cuda {

/// Made at first use, and never destroyed.
cublasLtHandle_t cublas_handle();
/// The same; its stream is the compute stream.
cudnnHandle_t cudnn_handle();

/// Throw Error for what is not a success; `call` names the function that returned it.
void check(cublasStatus_t status, const char* call);
void check(cudnnStatus_t status, const char* call);

}  // namespace folio::cuda
