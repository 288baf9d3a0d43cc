// cuDNN's operation graphs, through its backend API. A graph is built from operations and compiled
// to a plan, which can be run any number of times.
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

/// Owns a descriptor.
class CudnnDescriptor {
 public:
  CudnnDescriptor() = default;
  explicit CudnnDescriptor(cudnnBackendDescriptorType_t type);

  cudnnBackendDescriptor_t get() const { return held_.get(); }
  /// These throw Error if cuDNN rejects the value.
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
/// The row-major layout without gaps.
GraphLayout packed(const std::array<int64_t, 4>& dims);
/// The layout with rows and columns swapped.
GraphLayout transposed(const GraphLayout& layout);

/// What a plan is made for: the process's GPU or, to check whether a plan can be made at all, a GPU
/// described in JSON as for CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION.
struct PlanTarget {
  cudnnHandle_t handle = nullptr;
  std::string device_json;
};

class CudnnPlan {
 public:
  CudnnPlan() = default;
  CudnnPlan(CudnnPlan&&) = default;
  CudnnPlan& operator=(CudnnPlan&&) = default;

  /// The bytes of device memory that the plan needs while it runs.
  int64_t workspace() const { return workspace_; }
  /// Runs the plan on the handle's stream. `memory` has the address of each tensor that has an id.
  void run(cudnnHandle_t handle, const std::vector<std::pair<int64_t, void*>>& memory,
           void* workspace) const;

 private:
  friend class CudnnGraph;
  std::vector<CudnnDescriptor> parts_;  // must live as long as the plan
  CudnnDescriptor plan_;
  int64_t workspace_ = 0;
};

class CudnnGraph {
 public:
  using Value = size_t;  // a tensor of the graph

  /// A tensor in memory, 16-byte aligned, whose address run() receives under this id.
  Value memory(int64_t id, cudnnDataType_t type, const GraphLayout& layout);
  /// A scalar f32; run() receives its host address under this id.
  Value number(int64_t id);
  /// A virtual tensor: an intermediate result that is not stored in memory.
  Value between(cudnnDataType_t type, const GraphLayout& layout);

  /// c = a b, summed in f32.
  void matmul(Value a, Value b, Value c);
  /// y = mode(x) or mode(x, b), or with t mode(x, b, t). `axis` is for CUDNN_POINTWISE_GEN_INDEX.
  void pointwise(cudnnPointwiseMode_t mode, Value x, std::optional<Value> b, std::optional<Value> t,
                 Value y, cudnnDataType_t precision = CUDNN_DATA_FLOAT,
                 std::optional<int64_t> axis = std::nullopt);
  /// The same with a new virtual tensor for y, f32 with the dimensions of x.
  Value pointwise(cudnnPointwiseMode_t mode, Value x, std::optional<Value> b = std::nullopt);
  /// y = the index of each element along an axis, i32 with the dimensions of x.
  Value index(Value x, int64_t axis);
  void reduce(cudnnReduceTensorOp_t operation, Value x, Value y);
  /// y = x with another layout.
  void reshape(Value x, Value y);

  /// Returns the first plan proposed by the library's heuristics that is deterministic and can be
  /// made, or nothing. In that case `why`, if not null, receives the reason. To be called once,
  /// since the plan takes the graph's descriptors.
  std::optional<CudnnPlan> plan(const PlanTarget& target, std::string* why = nullptr);

 private:
  struct Tensor {
    CudnnDescriptor descriptor;
    GraphLayout layout;
  };
  Value add(int64_t id, cudnnDataType_t type, const GraphLayout& layout, bool between,
            bool by_value);
  using Operand = std::pair<cudnnBackendAttributeName_t, Value>;
  /// Adds an operation with these tensors and, unless it is empty, the setting.
  void add_operation(cudnnBackendDescriptorType_t type, const std::vector<Operand>& operands,
                     cudnnBackendAttributeName_t setting_name = {}, CudnnDescriptor setting = {});

  std::vector<Tensor> tensors_;
  std::vector<CudnnDescriptor> operations_, settings_;
  int64_t next_id_ = 1'000'000;  // ids of virtual tensors
};

}  // namespace folio::cuda
