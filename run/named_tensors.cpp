#include "folio/run/named_tensors.h"

#include <algorithm>
#include <map>
#include <string>

#include "folio/models/huggingface.h"
#include "folio/tensor/copy.h"
#include "folio/tensor/error.h"

namespace folio {
namespace {

template <class To, class From>
void convert(const Tensor& to, const Tensor& from) {
  std::transform(from.data<From>(), from.data<From>() + from.numel(), to.data<To>(),
                 [](From value) { return static_cast<To>(value); });
}

template <class To>
void copy_into(const Tensor& to, const Tensor& from) {
  if (from.dtype() == DType::f64) {
    convert<To, double>(to, from);
  } else {
    convert<To, float>(to, from);
  }
}

}  // namespace

std::vector<NamedTensor> masters_of(const ParameterStore& parameters) {
  std::vector<NamedTensor> masters;
  for (const Parameter& parameter : parameters.parameters()) {
    masters.push_back({parameter.name, parameter.master});
  }
  return masters;
}

void fill_tensors(const std::vector<NamedTensor>& wanted, const std::vector<NamedTensor>& tensors,
                  const std::filesystem::path& path, std::string_view question,
                  std::span<const NameRule> rules) {
  const std::string where = path.string();
  std::map<std::string_view, const Tensor*> found;
  for (const NamedTensor& entry : tensors) found[entry.name] = &entry.tensor;
  std::vector<std::string> names;
  for (const auto& [name, tensor, transposed] : wanted) {
    names.push_back(name);
    const auto entry = found.find(name);
    FOLIO_CHECK(entry != found.end(), where, "{} is in the model but not in the checkpoint; {}",
                name, question);
    const Tensor& source = *entry->second;
    FOLIO_CHECK(source.shape() == tensor.shape(), where,
                "{} is {} in the checkpoint but {} in the model; {}", name,
                source.shape().to_string(), tensor.shape().to_string(), question);
    FOLIO_CHECK(source.dtype() == DType::f32 || source.dtype() == DType::f64, where,
                "{} is {} in the checkpoint; only f32 and f64 can be loaded", name,
                name_of(source.dtype()));
  }
  if (found.size() > wanted.size()) {
    std::ranges::sort(names);
    for (const NamedTensor& entry : tensors) {
      FOLIO_CHECK(std::ranges::binary_search(names, entry.name) || is_zero_bias(rules, entry),
                  where, "{} is in the checkpoint but not in the model; {}", entry.name, question);
    }
  }
  for (const auto& [name, tensor, transposed] : wanted) {
    const Tensor& source = *found.at(name);
    const bool here = tensor.device() == Device::cpu;
    const Tensor room = here ? tensor : Tensor(tensor.shape(), tensor.dtype());
    if (tensor.dtype() == DType::f64) {
      copy_into<double>(room, source);
    } else {
      copy_into<float>(room, source);
    }
    if (!here) copy_tensor(tensor, room);
  }
}

}  // namespace folio
