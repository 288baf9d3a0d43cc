// cuDNN's backend API: descriptors, graphs, plans. What the library refuses is refused, and why is
// what cudnnGetLastErrorString() says.
#include <cudnn.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <mutex>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include "cudnn_program.h"
#include "state.h"
#include "work.h"

using namespace cuda_host;

struct cudnnContext {
  cudaStream_t stream = nullptr;
};

namespace {

struct Attribute {
  cudnnBackendAttributeType_t type;
  int64_t count;
  std::vector<char> bytes;
};

struct Descriptor {
  cudnnBackendDescriptorType_t type;
  bool finalized = false;
  std::map<int, Attribute> attributes;
  bool deterministic = true;  // of an engine, and its configuration
  Descriptor* graph = nullptr;
};

std::string last_error;

cudnnStatus_t refuse(cudnnStatus_t status, const std::string& why) {
  last_error = why;
  return status;
}
cudnnStatus_t bad(const std::string& why) { return refuse(CUDNN_STATUS_BAD_PARAM, why); }

size_t size_of(cudnnBackendAttributeType_t type) {
  switch (type) {
    case CUDNN_TYPE_BOOLEAN:
    case CUDNN_TYPE_CHAR:
      return 1;
    case CUDNN_TYPE_DATA_TYPE:
    case CUDNN_TYPE_HEUR_MODE:
    case CUDNN_TYPE_NUMERICAL_NOTE:
    case CUDNN_TYPE_POINTWISE_MODE:
    case CUDNN_TYPE_REDUCTION_OPERATOR_TYPE:
      return 4;
    default:
      return 8;
  }
}

Descriptor* cast(cudnnBackendDescriptor_t descriptor) {
  return static_cast<Descriptor*>(descriptor);
}

bool has(const Descriptor& d, cudnnBackendAttributeName_t name) {
  return d.attributes.contains(name);
}

template <class T>
std::vector<T> all(const Descriptor& d, cudnnBackendAttributeName_t name) {
  const Attribute& attribute = d.attributes.at(name);
  std::vector<T> values(static_cast<size_t>(attribute.count));
  memcpy(values.data(), attribute.bytes.data(), attribute.bytes.size());
  return values;
}

/// Booleans too, which std::vector has its own way with.
template <class T>
T one(const Descriptor& d, cudnnBackendAttributeName_t name) {
  T value;
  memcpy(&value, d.attributes.at(name).bytes.data(), sizeof(T));
  return value;
}

Descriptor& part(const Descriptor& d, cudnnBackendAttributeName_t name) {
  return *one<Descriptor*>(d, name);
}

GraphTensor tensor_of(const Descriptor& d) {
  GraphTensor t;
  t.id = one<int64_t>(d, CUDNN_ATTR_TENSOR_UNIQUE_ID);
  t.alignment = one<int64_t>(d, CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT);
  t.type = one<cudnnDataType_t>(d, CUDNN_ATTR_TENSOR_DATA_TYPE);
  const auto dims = all<int64_t>(d, CUDNN_ATTR_TENSOR_DIMENSIONS);
  const auto strides = all<int64_t>(d, CUDNN_ATTR_TENSOR_STRIDES);
  std::copy_n(dims.begin(), 4, t.dims.begin());
  std::copy_n(strides.begin(), 4, t.strides.begin());
  t.between = one<bool>(d, CUDNN_ATTR_TENSOR_IS_VIRTUAL);
  t.by_value = one<bool>(d, CUDNN_ATTR_TENSOR_IS_BY_VALUE);
  return t;
}

GraphTensor tensor_of(const Descriptor& d, cudnnBackendAttributeName_t name) {
  return tensor_of(part(d, name));
}

GraphNode node_of(const Descriptor& d) {
  GraphNode node{};
  switch (d.type) {
    case CUDNN_BACKEND_OPERATION_MATMUL_DESCRIPTOR:
      node.kind = GraphNode::Kind::matmul;
      node.inputs = {tensor_of(d, CUDNN_ATTR_OPERATION_MATMUL_ADESC),
                     tensor_of(d, CUDNN_ATTR_OPERATION_MATMUL_BDESC)};
      node.output = tensor_of(d, CUDNN_ATTR_OPERATION_MATMUL_CDESC);
      break;
    case CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR: {
      const Descriptor& setting = part(d, CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR);
      node.kind = GraphNode::Kind::pointwise;
      node.mode = one<cudnnPointwiseMode_t>(setting, CUDNN_ATTR_POINTWISE_MODE);
      if (has(setting, CUDNN_ATTR_POINTWISE_AXIS)) {
        node.axis = one<int64_t>(setting, CUDNN_ATTR_POINTWISE_AXIS);
      }
      for (const auto name :
           {CUDNN_ATTR_OPERATION_POINTWISE_XDESC, CUDNN_ATTR_OPERATION_POINTWISE_BDESC,
            CUDNN_ATTR_OPERATION_POINTWISE_TDESC}) {
        if (has(d, name)) node.inputs.push_back(tensor_of(d, name));
      }
      node.output = tensor_of(d, CUDNN_ATTR_OPERATION_POINTWISE_YDESC);
      break;
    }
    case CUDNN_BACKEND_OPERATION_REDUCTION_DESCRIPTOR:
      node.kind = GraphNode::Kind::reduce;
      node.reduction = one<cudnnReduceTensorOp_t>(part(d, CUDNN_ATTR_OPERATION_REDUCTION_DESC),
                                                  CUDNN_ATTR_REDUCTION_OPERATOR);
      node.inputs = {tensor_of(d, CUDNN_ATTR_OPERATION_REDUCTION_XDESC)};
      node.output = tensor_of(d, CUDNN_ATTR_OPERATION_REDUCTION_YDESC);
      break;
    default:
      node.kind = GraphNode::Kind::reshape;
      node.inputs = {tensor_of(d, CUDNN_ATTR_OPERATION_RESHAPE_XDESC)};
      node.output = tensor_of(d, CUDNN_ATTR_OPERATION_RESHAPE_YDESC);
  }
  return node;
}

std::vector<GraphNode> nodes_of(const Descriptor& graph) {
  std::vector<GraphNode> nodes;
  for (const Descriptor* d : all<Descriptor*>(graph, CUDNN_ATTR_OPERATIONGRAPH_OPS)) {
    nodes.push_back(node_of(*d));
  }
  return nodes;
}

std::string mistake_of_tensor(const GraphTensor& t) {
  for (size_t axis = 0; axis < 4; ++axis) {
    if (t.dims[axis] < 1 || t.strides[axis] < 0) return "a tensor with an empty dimension";
  }
  return t.by_value && (t.count() != 1 || t.between) ? "a number that is more than one" : "";
}

/// Everything between operations is made before it is used, and once.
std::string mistake_of_graph(const Descriptor& graph) {
  std::set<int64_t> made;
  for (const GraphNode& node : nodes_of(graph)) {
    for (const GraphTensor& x : node.inputs) {
      if (x.between && !made.contains(x.id)) return "a tensor that no operation has made yet";
    }
    if (node.output.by_value) return "an operation that writes a number of the host's";
    if (!made.insert(node.output.id).second) return "a tensor that two operations make";
  }
  return "";
}

/// What the fused attention engines do not take.
std::string unsupported(const Descriptor& graph) {
  for (const GraphNode& node : nodes_of(graph)) {
    if (node.kind != GraphNode::Kind::matmul) continue;
    for (const GraphTensor& t : {node.inputs[0], node.inputs[1], node.output}) {
      if (t.between) continue;
      if (t.type != CUDNN_DATA_BFLOAT16) return "products of another type than bf16";
      const bool row_major = t.strides[3] == 1;
      if (!row_major && t.strides[2] != 1) return "heads whose columns are not neighbours";
      const int64_t depth = t.dims[row_major ? 3 : 2];
      if (capability() < 80) return "a GPU below compute capability 8.0";
      if (depth % 8 != 0 || depth > 128) return "a head's width that is not supported";
      if (t.strides[row_major ? 2 : 3] % 8 != 0) return "rows that are not 16-byte aligned";
    }
  }
  return "";
}

int64_t workspace_of(const Descriptor& graph) {
  int64_t bytes = 256;
  for (const GraphNode& node : nodes_of(graph)) {
    if (node.kind == GraphNode::Kind::reshape) bytes = std::max(bytes, 2 * node.output.count());
  }
  return bytes;
}

}  // namespace

size_t cudnnGetVersion() {
  const char* set = std::getenv("FOLIO_HOST_CUDNN");  // as an older one
  return set == nullptr ? 91900 : std::stoul(set);
}
const char* cudnnGetErrorString(cudnnStatus_t status) {
  switch (status) {
    case CUDNN_STATUS_SUCCESS:
      return "CUDNN_STATUS_SUCCESS";
    case CUDNN_STATUS_NOT_INITIALIZED:
      return "CUDNN_STATUS_NOT_INITIALIZED";
    case CUDNN_STATUS_BAD_PARAM:
      return "CUDNN_STATUS_BAD_PARAM";
    case CUDNN_STATUS_NOT_SUPPORTED:
      return "CUDNN_STATUS_NOT_SUPPORTED";
    case CUDNN_STATUS_EXECUTION_FAILED:
      return "CUDNN_STATUS_EXECUTION_FAILED";
  }
  return "unknown";
}

void cudnnGetLastErrorString(char* message, size_t max_size) {
  std::snprintf(message, max_size, "%s", last_error.c_str());
}

cudnnStatus_t cudnnCreate(cudnnHandle_t* handle) {
  const std::lock_guard lock(State::get().mutex);
  if (refuse_while_capturing("cudnnCreate") != cudaSuccess) {
    return refuse(CUDNN_STATUS_NOT_INITIALIZED, "a stream is captured");
  }
  static cudnnContext context;
  *handle = &context;
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnSetStream(cudnnHandle_t handle, cudaStream_t stream) {
  handle->stream = stream;
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnBackendCreateDescriptor(cudnnBackendDescriptorType_t type,
                                           cudnnBackendDescriptor_t* descriptor) {
  *descriptor = new Descriptor{type, false, {}};
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnBackendDestroyDescriptor(cudnnBackendDescriptor_t descriptor) {
  delete cast(descriptor);
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnBackendSetAttribute(cudnnBackendDescriptor_t descriptor,
                                       cudnnBackendAttributeName_t name,
                                       cudnnBackendAttributeType_t type, int64_t count,
                                       const void* values) {
  Descriptor& d = *cast(descriptor);
  if (d.finalized) return bad("an attribute set after the descriptor was finalized");
  if (count < 1 || values == nullptr) return bad("an attribute without values");
  if (type == CUDNN_TYPE_BACKEND_DESCRIPTOR) {
    for (int64_t i = 0; i < count; ++i) {
      if (!static_cast<Descriptor* const*>(values)[i]->finalized) {
        return bad("a descriptor that is not finalized");
      }
    }
  }
  const auto* const bytes = static_cast<const char*>(values);
  d.attributes[name] = {
      type, count, std::vector<char>(bytes, bytes + static_cast<size_t>(count) * size_of(type))};
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnBackendFinalize(cudnnBackendDescriptor_t descriptor) {
  Descriptor& d = *cast(descriptor);
  std::string mistake;
  try {
    switch (d.type) {
      case CUDNN_BACKEND_TENSOR_DESCRIPTOR:
        mistake = mistake_of_tensor(tensor_of(d));
        break;
      case CUDNN_BACKEND_OPERATION_MATMUL_DESCRIPTOR:
      case CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR:
      case CUDNN_BACKEND_OPERATION_REDUCTION_DESCRIPTOR:
      case CUDNN_BACKEND_OPERATION_RESHAPE_DESCRIPTOR:
        mistake = node_of(d).mistake();
        break;
      case CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR:
        mistake = mistake_of_graph(d);
        break;
      case CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR:
        d.graph = part(d, CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG).graph;
        d.deterministic = part(d, CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG).deterministic;
        if (!has(d, CUDNN_ATTR_EXECUTION_PLAN_HANDLE)) mistake = "a plan for no device";
        break;
      default:
        break;
    }
  } catch (const std::out_of_range&) {
    mistake = "an attribute is missing";
  }
  if (!mistake.empty()) return bad(mistake);
  d.finalized = true;
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnBackendGetAttribute(cudnnBackendDescriptor_t descriptor,
                                       cudnnBackendAttributeName_t name,
                                       cudnnBackendAttributeType_t, int64_t wanted, int64_t* count,
                                       void* values) {
  Descriptor& d = *cast(descriptor);
  if (name == CUDNN_ATTR_ENGINEHEUR_RESULTS && d.finalized && wanted >= 2) {
    Descriptor& graph = part(d, CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH);
    *count = unsupported(graph).empty() ? 2 : 0;
    for (int64_t i = 0; i < *count; ++i) {  // the quicker one is not deterministic
      Descriptor& config = *static_cast<Descriptor**>(values)[i];
      config.graph = &graph;
      config.deterministic = i == 1;
      config.finalized = true;
    }
  } else if (name == CUDNN_ATTR_ENGINECFG_ENGINE && d.finalized) {
    static_cast<Descriptor**>(values)[0]->deterministic = d.deterministic;
    *count = 1;
  } else if (name == CUDNN_ATTR_ENGINE_NUMERICAL_NOTE) {
    auto* const notes = static_cast<cudnnBackendNumericalNote_t*>(values);
    notes[0] = CUDNN_NUMERICAL_NOTE_TENSOR_CORE;
    if (!d.deterministic) notes[1] = CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC;
    *count = d.deterministic ? 1 : 2;
  } else if (name == CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE && d.finalized) {
    *static_cast<int64_t*>(values) = workspace_of(*d.graph);
    *count = 1;
  } else {
    return bad("an attribute that the double does not have");
  }
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnBackendExecute(cudnnHandle_t handle, cudnnBackendDescriptor_t plan,
                                  cudnnBackendDescriptor_t pack) {
  const Descriptor &p = *cast(plan), &v = *cast(pack);
  if (!p.finalized || !v.finalized) return bad("a plan or its memory is not finalized");
  if (!p.deterministic) return bad("the double runs deterministic plans only");
  const auto ids = all<int64_t>(v, CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS);
  const auto addresses = all<void*>(v, CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS);
  if (ids.size() != addresses.size()) return bad("as many ids as addresses are wanted");
  std::map<int64_t, void*> given;
  for (size_t i = 0; i < ids.size(); ++i) given[ids[i]] = addresses[i];
  Program program{nodes_of(*p.graph), {}, {}};
  for (const GraphNode& node : program.nodes) {
    std::vector<GraphTensor> tensors = node.inputs;
    tensors.push_back(node.output);
    for (const GraphTensor& t : tensors) {
      if (t.between) continue;
      if (!given.contains(t.id)) return bad("a tensor of the graph has no address");
      void* const address = given[t.id];
      if (t.by_value) {
        program.numbers[t.id] = *static_cast<const float*>(address);
      } else if (reinterpret_cast<uintptr_t>(address) % static_cast<uintptr_t>(t.alignment) != 0) {
        return bad("a tensor is less aligned than its descriptor says");
      } else {
        program.memory[t.id] = address;
      }
    }
  }
  void* const workspace = one<void*>(v, CUDNN_ATTR_VARIANT_PACK_WORKSPACE);
  const auto bytes = static_cast<size_t>(workspace_of(*p.graph));
  wait_as_told(Waits::in_attention, handle->stream);
  const cudaError_t error = put(handle->stream, "cudnnBackendExecute", [=] {
    if (!is_device_memory(workspace, bytes)) {
      throw DeviceError{cudaErrorIllegalAddress, "the workspace is too small"};
    }
    memset(workspace, 0xFF, bytes);
    program.run();
  });
  return error == cudaSuccess ? CUDNN_STATUS_SUCCESS : CUDNN_STATUS_EXECUTION_FAILED;
}
