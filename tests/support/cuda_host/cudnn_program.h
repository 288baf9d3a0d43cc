// A graph of cuDNN's operations as the double runs it: node by node, in f64.
#pragma once

#include <cudnn.h>

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace cuda_host {

struct GraphTensor {
  int64_t id = 0, alignment = 1;
  cudnnDataType_t type = CUDNN_DATA_FLOAT;
  std::array<int64_t, 4> dims{}, strides{};
  bool between = false, by_value = false;

  int64_t count() const { return dims[0] * dims[1] * dims[2] * dims[3]; }
  /// Bytes from the first element to the last.
  size_t extent() const;
};

struct GraphNode {
  enum class Kind { matmul, pointwise, reduce, reshape } kind;
  cudnnPointwiseMode_t mode = CUDNN_POINTWISE_ADD;
  cudnnReduceTensorOp_t reduction = CUDNN_REDUCE_TENSOR_ADD;
  int64_t axis = -1;
  std::vector<GraphTensor> inputs;  // x, b, t; of a product a, b
  GraphTensor output;

  /// Why these tensors do not fit the operation; empty where they do.
  std::string mistake() const;
};

struct Program {
  std::vector<GraphNode> nodes;
  std::map<int64_t, void*> memory;  // of the device, by tensor
  std::map<int64_t, double> numbers;

  /// Throws DeviceError where a tensor reaches beyond its memory.
  void run() const;
};

}  // namespace cuda_host
