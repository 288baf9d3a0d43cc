#include "folio/kernels/cuda/cudnn_graph.h"

#include <fmt/core.h>

#include <algorithm>
#include <iterator>

#include "folio/kernels/cuda/libraries.h"
#include "folio/tensor/error.h"

namespace folio::cuda {
namespace {

/// Copies the descriptors of an attribute into `into`, at most its size; returns their number.
int64_t get_descriptors(cudnnBackendDescriptor_t from, cudnnBackendAttributeName_t name,
                        std::vector<CudnnDescriptor>& into) {
  std::vector<cudnnBackendDescriptor_t> raw;
  for (const CudnnDescriptor& descriptor : into) raw.push_back(descriptor.get());
  int64_t count = 0;
  check(cudnnBackendGetAttribute(from, name, CUDNN_TYPE_BACKEND_DESCRIPTOR,
                                 static_cast<int64_t>(raw.size()), &count, raw.data()),
        "cudnnBackendGetAttribute");
  return count;
}

/// Whether an engine always adds floats in the same order.
bool is_deterministic(const CudnnDescriptor& config) {
  std::vector<CudnnDescriptor> engine;
  engine.emplace_back(CUDNN_BACKEND_ENGINE_DESCRIPTOR);
  get_descriptors(config.get(), CUDNN_ATTR_ENGINECFG_ENGINE, engine);
  std::array<cudnnBackendNumericalNote_t, CUDNN_NUMERICAL_NOTE_TYPE_COUNT> notes{};
  int64_t count = 0;
  check(cudnnBackendGetAttribute(engine[0].get(), CUDNN_ATTR_ENGINE_NUMERICAL_NOTE,
                                 CUDNN_TYPE_NUMERICAL_NOTE, static_cast<int64_t>(notes.size()),
                                 &count, notes.data()),
        "cudnnBackendGetAttribute");
  return std::find(notes.begin(), notes.begin() + count, CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC) ==
         notes.begin() + count;
}

}  // namespace

CudnnDescriptor::CudnnDescriptor(cudnnBackendDescriptorType_t type) {
  cudnnBackendDescriptor_t made = nullptr;
  check(cudnnBackendCreateDescriptor(type, &made), "cudnnBackendCreateDescriptor");
  held_.reset(made);
}

void CudnnDescriptor::Destroy::operator()(void* descriptor) const {
  cudnnBackendDestroyDescriptor(descriptor);
}

void CudnnDescriptor::set(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type,
                          int64_t count, const void* values) {
  check(cudnnBackendSetAttribute(get(), name, type, count, values), "cudnnBackendSetAttribute");
}

void CudnnDescriptor::set(cudnnBackendAttributeName_t name, const CudnnDescriptor& value) {
  const cudnnBackendDescriptor_t raw = value.get();
  set(name, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &raw);
}

void CudnnDescriptor::finalize() { check(cudnnBackendFinalize(get()), "cudnnBackendFinalize"); }

GraphLayout packed(const std::array<int64_t, 4>& dims) {
  return {dims, {dims[1] * dims[2] * dims[3], dims[2] * dims[3], dims[3], 1}};
}

GraphLayout transposed(const GraphLayout& layout) {
  GraphLayout result = layout;
  std::swap(result.dims[2], result.dims[3]);
  std::swap(result.strides[2], result.strides[3]);
  return result;
}

CudnnGraph::Value CudnnGraph::add(int64_t id, cudnnDataType_t type, const GraphLayout& layout,
                                  bool between, bool by_value) {
  CudnnDescriptor tensor(CUDNN_BACKEND_TENSOR_DESCRIPTOR);
  const int64_t alignment = 16;
  tensor.set(CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_TYPE_INT64, 1, &id);
  tensor.set(CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &type);
  tensor.set(CUDNN_ATTR_TENSOR_DIMENSIONS, CUDNN_TYPE_INT64, 4, layout.dims.data());
  tensor.set(CUDNN_ATTR_TENSOR_STRIDES, CUDNN_TYPE_INT64, 4, layout.strides.data());
  tensor.set(CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, CUDNN_TYPE_INT64, 1, &alignment);
  tensor.set(CUDNN_ATTR_TENSOR_IS_VIRTUAL, CUDNN_TYPE_BOOLEAN, 1, &between);
  tensor.set(CUDNN_ATTR_TENSOR_IS_BY_VALUE, CUDNN_TYPE_BOOLEAN, 1, &by_value);
  tensor.finalize();
  tensors_.push_back({std::move(tensor), layout});
  return tensors_.size() - 1;
}

CudnnGraph::Value CudnnGraph::memory(int64_t id, cudnnDataType_t type, const GraphLayout& layout) {
  return add(id, type, layout, false, false);
}

CudnnGraph::Value CudnnGraph::number(int64_t id) {
  return add(id, CUDNN_DATA_FLOAT, packed({1, 1, 1, 1}), false, true);
}

CudnnGraph::Value CudnnGraph::between(cudnnDataType_t type, const GraphLayout& layout) {
  return add(next_id_++, type, layout, true, false);
}

void CudnnGraph::add_operation(cudnnBackendDescriptorType_t type,
                               const std::vector<Operand>& operands,
                               cudnnBackendAttributeName_t setting_name, CudnnDescriptor setting) {
  CudnnDescriptor operation(type);
  for (const auto& [name, value] : operands) operation.set(name, tensors_[value].descriptor);
  if (setting.get() != nullptr) {
    setting.finalize();
    operation.set(setting_name, setting);
    settings_.push_back(std::move(setting));
  }
  operation.finalize();
  operations_.push_back(std::move(operation));
}

void CudnnGraph::matmul(Value a, Value b, Value c) {
  CudnnDescriptor setting(CUDNN_BACKEND_MATMUL_DESCRIPTOR);
  const cudnnDataType_t type = CUDNN_DATA_FLOAT;
  setting.set(CUDNN_ATTR_MATMUL_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &type);
  add_operation(CUDNN_BACKEND_OPERATION_MATMUL_DESCRIPTOR,
                {{CUDNN_ATTR_OPERATION_MATMUL_ADESC, a},
                 {CUDNN_ATTR_OPERATION_MATMUL_BDESC, b},
                 {CUDNN_ATTR_OPERATION_MATMUL_CDESC, c}},
                CUDNN_ATTR_OPERATION_MATMUL_DESC, std::move(setting));
}

void CudnnGraph::pointwise(cudnnPointwiseMode_t mode, Value x, std::optional<Value> b,
                           std::optional<Value> t, Value y, cudnnDataType_t precision,
                           std::optional<int64_t> axis) {
  CudnnDescriptor setting(CUDNN_BACKEND_POINTWISE_DESCRIPTOR);
  setting.set(CUDNN_ATTR_POINTWISE_MODE, CUDNN_TYPE_POINTWISE_MODE, 1, &mode);
  setting.set(CUDNN_ATTR_POINTWISE_MATH_PREC, CUDNN_TYPE_DATA_TYPE, 1, &precision);
  if (axis) setting.set(CUDNN_ATTR_POINTWISE_AXIS, CUDNN_TYPE_INT64, 1, &*axis);
  std::vector<Operand> operands = {{CUDNN_ATTR_OPERATION_POINTWISE_XDESC, x},
                                   {CUDNN_ATTR_OPERATION_POINTWISE_YDESC, y}};
  if (b) operands.emplace_back(CUDNN_ATTR_OPERATION_POINTWISE_BDESC, *b);
  if (t) operands.emplace_back(CUDNN_ATTR_OPERATION_POINTWISE_TDESC, *t);
  add_operation(CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR, operands,
                CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, std::move(setting));
}

CudnnGraph::Value CudnnGraph::pointwise(cudnnPointwiseMode_t mode, Value x,
                                        std::optional<Value> b) {
  const Value y = between(CUDNN_DATA_FLOAT, packed(tensors_[x].layout.dims));
  pointwise(mode, x, b, std::nullopt, y);
  return y;
}

CudnnGraph::Value CudnnGraph::index(Value x, int64_t axis) {
  const Value y = between(CUDNN_DATA_INT32, packed(tensors_[x].layout.dims));
  pointwise(CUDNN_POINTWISE_GEN_INDEX, x, std::nullopt, std::nullopt, y, CUDNN_DATA_FLOAT, axis);
  return y;
}

void CudnnGraph::reduce(cudnnReduceTensorOp_t kind, Value x, Value y) {
  CudnnDescriptor setting(CUDNN_BACKEND_REDUCTION_DESCRIPTOR);
  const cudnnDataType_t type = CUDNN_DATA_FLOAT;
  setting.set(CUDNN_ATTR_REDUCTION_OPERATOR, CUDNN_TYPE_REDUCTION_OPERATOR_TYPE, 1, &kind);
  setting.set(CUDNN_ATTR_REDUCTION_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &type);
  add_operation(
      CUDNN_BACKEND_OPERATION_REDUCTION_DESCRIPTOR,
      {{CUDNN_ATTR_OPERATION_REDUCTION_XDESC, x}, {CUDNN_ATTR_OPERATION_REDUCTION_YDESC, y}},
      CUDNN_ATTR_OPERATION_REDUCTION_DESC, std::move(setting));
}

void CudnnGraph::reshape(Value x, Value y) {
  add_operation(CUDNN_BACKEND_OPERATION_RESHAPE_DESCRIPTOR,
                {{CUDNN_ATTR_OPERATION_RESHAPE_XDESC, x}, {CUDNN_ATTR_OPERATION_RESHAPE_YDESC, y}});
}

std::optional<CudnnPlan> CudnnGraph::plan(const PlanTarget& target, std::string* why) {
  CudnnDescriptor device;
  if (!target.device_json.empty()) {
    device = CudnnDescriptor(CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR);
    device.set(CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION, CUDNN_TYPE_CHAR,
               static_cast<int64_t>(target.device_json.size()), target.device_json.data());
    device.finalize();
  }
  try {
    CudnnDescriptor graph(CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR);
    std::vector<cudnnBackendDescriptor_t> operations;
    for (const CudnnDescriptor& operation : operations_) operations.push_back(operation.get());
    graph.set(CUDNN_ATTR_OPERATIONGRAPH_OPS, CUDNN_TYPE_BACKEND_DESCRIPTOR,
              static_cast<int64_t>(operations.size()), operations.data());
    if (target.handle != nullptr) {
      graph.set(CUDNN_ATTR_OPERATIONGRAPH_HANDLE, CUDNN_TYPE_HANDLE, 1, &target.handle);
    }
    graph.finalize();

    CudnnDescriptor heuristic(CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR);
    const cudnnBackendHeurMode_t mode = CUDNN_HEUR_MODE_A;
    heuristic.set(CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, graph);
    heuristic.set(CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, 1, &mode);
    if (device.get() != nullptr) heuristic.set(CUDNN_ATTR_ENGINEHEUR_DEVICEPROP, device);
    heuristic.finalize();
    std::vector<CudnnDescriptor> configs;
    for (int i = 0; i < 8; ++i) configs.emplace_back(CUDNN_BACKEND_ENGINECFG_DESCRIPTOR);
    configs.resize(static_cast<size_t>(
        get_descriptors(heuristic.get(), CUDNN_ATTR_ENGINEHEUR_RESULTS, configs)));

    for (CudnnDescriptor& config : configs) {
      if (!is_deterministic(config)) continue;
      CudnnPlan result;
      result.plan_ = CudnnDescriptor(CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR);
      result.plan_.set(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, config);
      if (device.get() != nullptr) {
        result.plan_.set(CUDNN_ATTR_EXECUTION_PLAN_DEVICEPROP, device);
      } else {
        result.plan_.set(CUDNN_ATTR_EXECUTION_PLAN_HANDLE, CUDNN_TYPE_HANDLE, 1, &target.handle);
      }
      if (cudnnBackendFinalize(result.plan_.get()) != CUDNN_STATUS_SUCCESS) continue;
      int64_t count = 0;
      check(cudnnBackendGetAttribute(result.plan_.get(), CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE,
                                     CUDNN_TYPE_INT64, 1, &count, &result.workspace_),
            "cudnnBackendGetAttribute");
      for (Tensor& tensor : tensors_) result.parts_.push_back(std::move(tensor.descriptor));
      std::move(operations_.begin(), operations_.end(), std::back_inserter(result.parts_));
      std::move(settings_.begin(), settings_.end(), std::back_inserter(result.parts_));
      for (CudnnDescriptor* part : {&graph, &config, &device}) {
        result.parts_.push_back(std::move(*part));
      }
      return result;
    }
    if (why != nullptr) {
      *why =
          fmt::format("none of {} proposed plans is deterministic and supported", configs.size());
    }
  } catch (const Error& error) {
    if (why != nullptr) *why = error.what();
  }
  return std::nullopt;
}

void CudnnPlan::run(cudnnHandle_t handle, const std::vector<std::pair<int64_t, void*>>& memory,
                    void* workspace) const {
  std::vector<int64_t> ids;
  std::vector<void*> addresses;
  for (const auto& [id, address] : memory) {
    ids.push_back(id);
    addresses.push_back(address);
  }
  const auto count = static_cast<int64_t>(ids.size());
  CudnnDescriptor pack(CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR);
  pack.set(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, CUDNN_TYPE_INT64, count, ids.data());
  pack.set(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR, count, addresses.data());
  pack.set(CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, 1, &workspace);
  pack.finalize();
  check(cudnnBackendExecute(handle, plan_.get(), pack.get()), "cudnnBackendExecute");
}

}  // namespace folio::cuda
