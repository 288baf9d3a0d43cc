#include "cudnn_program.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "f64_product.h"
#include "work.h"

namespace cuda_host {
namespace {

using Values = std::vector<double>;  // row-major, whatever the strides

size_t size_of(cudnnDataType_t type) {
  return type == CUDNN_DATA_BFLOAT16 ? 2 : type == CUDNN_DATA_BOOLEAN ? 1 : 4;
}

/// visit(row-major index, offset in memory) for every element.
template <class Visit>
void for_each(const GraphTensor& t, const Visit& visit) {
  size_t index = 0;
  for (int64_t i = 0; i < t.dims[0]; ++i) {
    for (int64_t j = 0; j < t.dims[1]; ++j) {
      for (int64_t k = 0; k < t.dims[2]; ++k) {
        for (int64_t l = 0; l < t.dims[3]; ++l) {
          visit(index++, i * t.strides[0] + j * t.strides[1] + k * t.strides[2] + l * t.strides[3]);
        }
      }
    }
  }
}

double rounded(cudnnDataType_t type, double value) {
  switch (type) {
    case CUDNN_DATA_BFLOAT16:
      return widen_bf16(round_to_bf16(value));
    case CUDNN_DATA_FLOAT:
      return static_cast<float>(value);
    case CUDNN_DATA_INT32:
      return std::trunc(value);
    case CUDNN_DATA_BOOLEAN:
      return value != 0.0;
  }
  return value;
}

/// Where an element of y finds its like in x, of which some dimensions may be 1.
size_t broadcast_index(const GraphTensor& x, const GraphTensor& y, size_t index) {
  auto left = static_cast<int64_t>(index);
  int64_t at = 0, step = 1;
  for (size_t axis = 4; axis-- > 0;) {
    const int64_t coordinate = left % y.dims[axis];
    left /= y.dims[axis];
    if (x.dims[axis] != 1) at += coordinate * step;
    step *= x.dims[axis];
  }
  return static_cast<size_t>(at);
}

bool spreads_to(const GraphTensor& x, const GraphTensor& y) {
  for (size_t axis = 0; axis < 4; ++axis) {
    if (x.dims[axis] != 1 && x.dims[axis] != y.dims[axis]) return false;
  }
  return true;
}

/// Whether y is x with its last two axes exchanged, in the same places of memory.
bool is_transposed(const GraphTensor& x, const GraphTensor& y) {
  GraphTensor other = x;
  std::swap(other.dims[2], other.dims[3]);
  std::swap(other.strides[2], other.strides[3]);
  return other.dims == y.dims && other.strides == y.strides;
}

double pointwise(const GraphNode& node, const std::vector<double>& in, int64_t coordinate) {
  switch (node.mode) {
    case CUDNN_POINTWISE_ADD:
      return in[0] + in[1];
    case CUDNN_POINTWISE_SUB:
      return in[0] - in[1];
    case CUDNN_POINTWISE_MUL:
      return in[0] * in[1];
    case CUDNN_POINTWISE_DIV:
      return in[0] / in[1];
    case CUDNN_POINTWISE_EXP:
      return std::exp(in[0]);
    case CUDNN_POINTWISE_LOG:
      return std::log(in[0]);
    case CUDNN_POINTWISE_CMP_GE:
      return in[0] >= in[1];
    case CUDNN_POINTWISE_BINARY_SELECT:
      return in[2] != 0.0 ? in[0] : in[1];
    case CUDNN_POINTWISE_GEN_INDEX:
      return static_cast<double>(coordinate);
  }
  return 0.0;
}

size_t inputs_of(cudnnPointwiseMode_t mode) {
  switch (mode) {
    case CUDNN_POINTWISE_EXP:
    case CUDNN_POINTWISE_LOG:
    case CUDNN_POINTWISE_GEN_INDEX:
      return 1;
    case CUDNN_POINTWISE_BINARY_SELECT:
      return 3;
    default:
      return 2;
  }
}

class Run {
 public:
  explicit Run(const Program& program) : program_(program) {}

  void node(const GraphNode& node) {
    std::vector<Values> in;
    for (const GraphTensor& x : node.inputs) in.push_back(load(x));
    const GraphTensor& y = node.output;
    Values out(static_cast<size_t>(y.count()));
    switch (node.kind) {
      case GraphNode::Kind::matmul: {
        const int64_t m = y.dims[2], n = y.dims[3], k = node.inputs[0].dims[3];
        for (int64_t i = 0; i < y.dims[0] * y.dims[1]; ++i) {
          add_product(out.data() + i * m * n, in[0].data() + i * m * k, in[1].data() + i * k * n, m,
                      n, k);
        }
        break;
      }
      case GraphNode::Kind::pointwise:
        for (size_t i = 0; i < out.size(); ++i) {
          std::vector<double> at;
          for (size_t j = 0; j < in.size(); ++j) {
            at.push_back(in[j][broadcast_index(node.inputs[j], y, i)]);
          }
          out[i] = pointwise(node, at, coordinate(y, i, node.axis));
        }
        break;
      case GraphNode::Kind::reduce: {
        const bool max = node.reduction == CUDNN_REDUCE_TENSOR_MAX;
        if (max) std::fill(out.begin(), out.end(), -std::numeric_limits<double>::infinity());
        for (size_t i = 0; i < in[0].size(); ++i) {
          double& into = out[broadcast_index(y, node.inputs[0], i)];
          into = max ? std::max(into, in[0][i]) : into + in[0][i];
        }
        break;
      }
      case GraphNode::Kind::reshape: {
        const int64_t rows = y.dims[2], columns = y.dims[3];
        for (int64_t i = 0; i < y.count(); ++i) {
          const int64_t matrix = i / (rows * columns), r = i / columns % rows, c = i % columns;
          out[static_cast<size_t>(i)] =
              in[0][static_cast<size_t>(matrix * rows * columns + c * rows + r)];
        }
        break;
      }
    }
    store(y, out);
  }

 private:
  static int64_t coordinate(const GraphTensor& y, size_t index, int64_t axis) {
    auto left = static_cast<int64_t>(index);
    for (int64_t a = 3; a > axis; --a) left /= y.dims[static_cast<size_t>(a)];
    return axis < 0 ? 0 : left % y.dims[static_cast<size_t>(axis)];
  }

  char* memory_of(const GraphTensor& t) const {
    char* const memory = static_cast<char*>(program_.memory.at(t.id));
    if (!is_device_memory(memory, t.extent())) {
      throw DeviceError{cudaErrorIllegalAddress, "a tensor of the graph reaches beyond its memory"};
    }
    return memory;
  }

  Values load(const GraphTensor& t) const {
    if (t.by_value) return {program_.numbers.at(t.id)};
    if (t.between) return between_.at(t.id);
    const char* const memory = memory_of(t);
    Values values(static_cast<size_t>(t.count()));
    for_each(t, [&](size_t i, int64_t offset) {
      if (t.type == CUDNN_DATA_BFLOAT16) {
        values[i] = widen_bf16(reinterpret_cast<const uint16_t*>(memory)[offset]);
      } else {
        values[i] = reinterpret_cast<const float*>(memory)[offset];
      }
    });
    return values;
  }

  void store(const GraphTensor& t, Values& values) {
    for (double& value : values) value = rounded(t.type, value);
    if (t.between) {
      between_[t.id] = std::move(values);
      return;
    }
    char* const memory = memory_of(t);
    for_each(t, [&](size_t i, int64_t offset) {
      if (t.type == CUDNN_DATA_BFLOAT16) {
        reinterpret_cast<uint16_t*>(memory)[offset] = round_to_bf16(values[i]);
      } else {
        reinterpret_cast<float*>(memory)[offset] = static_cast<float>(values[i]);
      }
    });
  }

  const Program& program_;
  std::map<int64_t, Values> between_;
};

}  // namespace

size_t GraphTensor::extent() const {
  int64_t last = 0;
  for (size_t axis = 0; axis < 4; ++axis) last += (dims[axis] - 1) * strides[axis];
  return static_cast<size_t>(last + 1) * size_of(type);
}

std::string GraphNode::mistake() const {
  const GraphTensor& x = inputs[0];
  switch (kind) {
    case Kind::matmul: {
      const GraphTensor& b = inputs[1];
      const bool fit = x.dims[0] == b.dims[0] && x.dims[1] == b.dims[1] &&
                       x.dims[0] == output.dims[0] && x.dims[1] == output.dims[1] &&
                       x.dims[3] == b.dims[2] && output.dims[2] == x.dims[2] &&
                       output.dims[3] == b.dims[3];
      return fit ? "" : "the matrices of a product do not fit each other";
    }
    case Kind::pointwise:
      if (inputs.size() != inputs_of(mode)) return "an operation with too few or many inputs";
      if ((mode == CUDNN_POINTWISE_GEN_INDEX) != (axis >= 0)) return "an index without its axis";
      for (const GraphTensor& in : inputs) {
        if (!spreads_to(in, output)) return "an input that cannot be spread to its output";
      }
      return "";
    case Kind::reduce:
      return spreads_to(output, x) ? "" : "a sum over what is no axis";
    case Kind::reshape:
      return is_transposed(x, output) ? "" : "a layout that is not doubled";
  }
  return "";
}

void Program::run() const {
  Run run(*this);
  for (const GraphNode& node : nodes) run.node(node);
}

}  // namespace cuda_host
