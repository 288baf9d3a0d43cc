#include "folio/inspect/finite_check.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>

#include "folio/tensor/copy.h"

namespace folio {
namespace {

/// Calls visit(i, value) for every element.
template <class Visit>
void for_each_element(const Tensor& given, const Visit& visit) {
  const Tensor values = on_device(given, Device::cpu);
  const auto visit_all = [&](const auto* data) {
    for (int64_t i = 0; i < values.numel(); ++i) visit(i, data[i]);
  };
  switch (values.dtype()) {
    case DType::f32:
      return visit_all(values.data<float>());
    case DType::f64:
      return visit_all(values.data<double>());
    case DType::i32:
      return visit_all(values.data<int32_t>());
    case DType::bf16:
      return visit_all(values.data<bf16>());
  }
}

std::vector<int64_t> bad_rows_of(const Tensor& values) {
  std::vector<int64_t> rows;
  if (values.shape().rank() == 0) return rows;
  const int64_t row_elements = values.numel() / values.dim(0);
  for_each_element(values, [&](int64_t i, double value) {
    const int64_t row = i / row_elements;
    if (!std::isfinite(value) && (rows.empty() || rows.back() != row)) rows.push_back(row);
  });
  return rows;
}

ObservedTensor observed(std::string name, const Tensor& tensor) {
  return {std::move(name), tensor.shape(), tensor.dtype(), range_of(tensor)};
}

std::string in_layer(const std::string& op, const std::string& layer, bool after_layer) {
  if (layer.empty()) return op;
  return fmt::format("{} {} {}", op, after_layer ? "after" : "in", layer);
}

std::string layer_of(const std::string& parameter) {
  return parameter.substr(0, parameter.rfind('.'));  // all of a name without a dot
}

}  // namespace

ValueRange range_of(const Tensor& values) {
  ValueRange range;
  for_each_element(values, [&](int64_t i, double value) {
    if (std::isfinite(value)) {
      range.min = std::min(range.min, value);
      range.max = std::max(range.max, value);
      return;
    }
    ++(std::isnan(value) ? range.nan : range.infinite);
    if (!range.finite()) return;
    range.first_bad = i;
    range.first_bad_value = value;
  });
  return range;
}

std::string FirstNonFinite::where() const {
  return in_layer(backward ? fmt::format("backward of {}", op) : op, layer, after_layer);
}

FiniteCheck::FiniteCheck(const ParameterStore& parameters) {
  for (const Parameter& parameter : parameters.parameters()) {
    parameters_[&parameter.slot] = parameter.name;
  }
}

void FiniteCheck::restart() {
  seen_.clear();
  origins_.clear();
}

const FiniteCheck::SeenOp* FiniteCheck::maker_of(const GradSlot* slot) const {
  const auto origin = origins_.find(slot);
  return origin == origins_.end() ? nullptr : &seen_[origin->second.op];
}

std::string FiniteCheck::name_of(const GradSlot* slot) const {
  if (slot == nullptr) return "a constant";
  if (const auto found = parameters_.find(slot); found != parameters_.end()) return found->second;
  const SeenOp* maker = maker_of(slot);
  if (maker == nullptr) return "a leaf";
  return fmt::format("{} of {}", maker->outputs[origins_.at(slot).output].name,
                     in_layer(maker->op, maker->layer, maker->after_layer));
}

void FiniteCheck::find_layer(SeenOp& op, std::span<const Variable> inputs) const {
  std::vector<std::string> layers;
  for (const Variable& input : inputs) {
    const auto parameter = parameters_.find(input.slot);
    if (parameter == parameters_.end()) continue;
    const std::string layer = layer_of(parameter->second);
    if (std::ranges::find(layers, layer) != layers.end()) continue;
    layers.push_back(layer);
    op.layer += fmt::format("{}{}", op.layer.empty() ? "" : ", ", layer);
  }
  if (!layers.empty()) return;
  // The op that wrote an input has a layer, or follows one.
  for (const Variable& input : inputs) {
    const SeenOp* maker = maker_of(input.slot);
    if (maker == nullptr || maker->layer.empty()) continue;
    op.layer = maker->layer;
    op.after_layer = true;
    return;
  }
}

void FiniteCheck::after_forward(const char* op, std::span<const Variable> inputs,
                                std::span<const Variable> outputs) {
  if (found_) return;
  SeenOp seen;
  seen.op = op;
  find_layer(seen, inputs);
  for (const Variable& x : inputs) {
    // The statistics from its op's output, since this op may work in place.
    const SeenOp* maker = maker_of(x.slot);
    seen.inputs.push_back(maker == nullptr ? observed(name_of(x.slot), x.value)
                                           : maker->outputs[origins_.at(x.slot).output]);
    seen.inputs.back().name = name_of(x.slot);
  }
  for (size_t i = 0; i < outputs.size(); ++i) {
    const std::string name = outputs.size() == 1 ? "output" : fmt::format("output {}", i + 1);
    seen.outputs.push_back(observed(name, outputs[i].value));
  }
  for (size_t i = 0; i < outputs.size(); ++i) {
    if (seen.outputs[i].range.finite()) continue;
    found_ = FirstNonFinite{.op = seen.op,
                            .layer = seen.layer,
                            .after_layer = seen.after_layer,
                            .read = seen.inputs,
                            .made = seen.outputs,
                            .culprit = i,
                            .bad_rows = bad_rows_of(outputs[i].value)};
    return;
  }
  for (size_t i = 0; i < outputs.size(); ++i) {
    if (outputs[i].slot != nullptr) origins_[outputs[i].slot] = {seen_.size(), i};
  }
  seen_.push_back(std::move(seen));
}

void FiniteCheck::before_backward(const char*, std::span<GradSlot* const> outputs) {
  incoming_.clear();
  if (found_) return;
  for (const GradSlot* slot : outputs) {
    // Before the closure runs, since an op may add to the gradient of its own output.
    if (slot == nullptr || !slot->written) continue;
    incoming_.push_back(observed(fmt::format("gradient of {}", name_of(slot)), slot->grad));
  }
}

void FiniteCheck::after_backward(const char* op, std::span<GradSlot* const> outputs,
                                 std::span<GradSlot* const> written) {
  if (found_) return;
  std::vector<const GradSlot*> slots;  // each once
  for (const GradSlot* slot : written) {
    if (std::ranges::find(slots, slot) == slots.end()) slots.push_back(slot);
  }
  FirstNonFinite result;
  result.op = op;
  result.backward = true;
  bool finite = true;
  for (const GradSlot* slot : slots) {
    result.made.push_back(observed(fmt::format("gradient of {}", name_of(slot)), slot->grad));
    if (!finite || result.made.back().range.finite()) continue;
    finite = false;
    result.culprit = result.made.size() - 1;
    if (!parameters_.contains(slot)) result.bad_rows = bad_rows_of(slot->grad);
  }
  if (finite) return;
  result.read = incoming_;
  for (const GradSlot* slot : outputs) {
    const SeenOp* seen = maker_of(slot);
    if (seen == nullptr) continue;
    result.layer = seen->layer;
    result.after_layer = seen->after_layer;
    result.read.insert(result.read.end(), seen->inputs.begin(), seen->inputs.end());
    result.read.insert(result.read.end(), seen->outputs.begin(), seen->outputs.end());
    break;
  }
  found_ = std::move(result);
}

}  // namespace folio
