#include <cudnn.h>

struct cudnnContext {
  cudaStream_t stream = nullptr;
};

const char* cudnnGetErrorString(cudnnStatus_t status) {
  return status == CUDNN_STATUS_SUCCESS ? "success" : "failure";
}

cudnnStatus_t cudnnCreate(cudnnHandle_t* handle) {
  static cudnnContext context;
  *handle = &context;
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnSetStream(cudnnHandle_t handle, cudaStream_t stream) {
  handle->stream = stream;
  return CUDNN_STATUS_SUCCESS;
}
