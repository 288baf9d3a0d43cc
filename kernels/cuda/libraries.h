// The handles and errors of NVIDIA's libraries for matrix products and attention, one handle per
// process. Their workspaces are Tensors from the pool: memory can be reused by later work on the
// compute stream.
#pragma once

#include <cublasLt.h>
#include <cudnn.h>

namespace folio::cuda {

/// Created at first use and never destroyed.
cublasLtHandle_t cublas_handle();
/// Likewise; its stream is the compute stream.
cudnnHandle_t cudnn_handle();

/// These throw Error if the status is not success; `call` names the function that returned it.
void check(cublasStatus_t status, const char* call);
void check(cudnnStatus_t status, const char* call);

}  // namespace folio::cuda
