#include "folio/kernels/cuda/libraries.h"

#include <fmt/core.h>

#include "folio/tensor/cuda.h"
#include "folio/tensor/error.h"

namespace folio::cuda {

cublasLtHandle_t cublas_handle() {
  static const cublasLtHandle_t handle = [] {
    Context::get();
    cublasLtHandle_t made = nullptr;
    check(cublasLtCreate(&made), "cublasLtCreate");
    return made;
  }();
  return handle;
}

cudnnHandle_t cudnn_handle() {
  static const cudnnHandle_t handle = [] {
    cudnnHandle_t made = nullptr;
    CUstream_st* stream = Context::get().stream();
    check(cudnnCreate(&made), "cudnnCreate");
    check(cudnnSetStream(made, stream), "cudnnSetStream");
    return made;
  }();
  return handle;
}

void check(cublasStatus_t status, const char* call) {
  FOLIO_CHECK(status == CUBLAS_STATUS_SUCCESS, call, "{}", cublasLtGetStatusString(status));
}

void check(cudnnStatus_t status, const char* call) {
  if (status == CUDNN_STATUS_SUCCESS) return;
  char reason[1024] = "";
  cudnnGetLastErrorString(reason, sizeof(reason));
  fail(call, fmt::format("{} {}", cudnnGetErrorString(status), reason));
}

}  // namespace folio::cuda
