// cuDNN's graphs of operations, through its backend API: built node by node, and made into a plan
// that can be put on the compute stream again and again.
#pragma once

#include <cudnn.h>

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace folio::cuda {

/// Destroys what it holds.
class CudnnDescriptor {
 public:
  CudnnDescriptor() = default;
  explicit CudnnDescriptor(cudnnBackendDescriptorType_t type);

  cudnnBackendDescriptor_t get() const { return held_.get(); }
  /// Throw Error for what the library does not accept.
  void set(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, int64_t count,
           const void* values);
  void set(cudnnBackendAttributeName_t name, const CudnnDescriptor& value);
  void finalize();

 private:
  struct Destroy {
    void operator()(void* descriptor) const;
  };
  std::unique_ptr<void, Destroy> held_;
};

/// Dimensions (B, heads, rows, columns) and their strides, in elements.
struct GraphLayout {
  std::array<int64_t, 4> dims, strides;
};
/// Without gaps, row-major.
GraphLayout packed(const std::array<int64_t, 4>& dims);
/// Rows and columns exchanged.
GraphLayout transposed(const GraphLayout& layout);

/// What plans are made for: the process's GPU or, to see whether one can be made at all, a GPU that
/// is described in JSON as CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION has it.
struct PlanTarget {
  cudnnHandle_t handle = nullptr;
  std::string device_json;
};

class CudnnPlan {
 public:
  CudnnPlan() = default;
  CudnnPlan(CudnnPlan&&) = default;
  CudnnPlan& operator=(CudnnPlan&&) = default;

  /// Bytes of the GPU's memory that it needs while it runs.
  int64_t workspace() const { return workspace_; }
  /// Puts it on the handle's stream: `memory` has the address of each tensor with an id.
  void run(cudnnHandle_t handle, const std::vector<std::pair<int64_t, void*>>& memory,
           void* workspace) const;

 private:
  friend class CudnnGraph;
  std::vector<CudnnDescriptor> parts_;  // that the plan was made of: they stay as long as it does
  CudnnDescriptor plan_;
  int64_t workspace_ = 0;
};

class CudnnGraph {
 public:
  using Value = size_t;  // a tensor of the graph

  /// In memory, 16-byte aligned, whose address run() is given under this id.
  Value memory(int64_t id, cudnnDataType_t type, const GraphLayout& layout);
  /// One f32 that run() is given the host's address of.
  Value number(int64_t id);
  /// Between operations only, never in memory.
  Value between(cudnnDataType_t type, const GraphLayout& layout);

  /// c = a b, summed in f32.
  void matmul(Value a, Value b, Value c);
  /// y = mode(x) or mode(x, b), or with t mode(x, b, t).
  void pointwise(cudnnPointwiseMode_t mode, Value x, std::optional<Value> b, std::optional<Value> t,
                 Value y, cudnnDataType_t precision = CUDNN_DATA_FLOAT);
  /// The same, y between operations, of x's layout and f32.
  Value pointwise(cudnnPointwiseMode_t mode, Value x, std::optional<Value> b = std::nullopt);
  /// y = the index of each element along an axis, i32, of x's layout.
  Value index(Value x, int64_t axis);
  void reduce(cudnnReduceTensorOp_t operation, Value x, Value y);
  /// y = x, laid out anew.
  void reshape(Value x, Value y);

  /// The first plan that the library's heuristics propose, that gives the same bits every time and
  /// that can be made; none where there is none. `why`, if not null, receives the library's reason.
  /// To be called once: the plan takes what the graph is made of.
  std::optional<CudnnPlan> plan(const PlanTarget& target, std::string* why = nullptr);

 private:
  struct Tensor {
    CudnnDescriptor descriptor;
    GraphLayout layout;
  };
  Value add(int64_t id, cudnnDataType_t type, const GraphLayout& layout, bool between,
            bool by_value);
  void add_operation(CudnnDescriptor operation);

  std::vector<Tensor> tensors_;
  std::vector<CudnnDescriptor> operations_, settings_;
  int64_t next_id_ = 1'000'000;  // of tensors between operations
};

}  // namespace folio::cuda
