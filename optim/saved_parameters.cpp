#include "folio/optim/saved_parameters.h"

#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <iterator>
#include <map>
#include <set>
#include <system_error>

#include "folio/tensor/copy.h"
#include "folio/tensor/error.h"
#include "folio/tensor/scope_exit.h"

namespace folio {
namespace fs = std::filesystem;
namespace {

template <class To, class From>
void convert(const Tensor& to, const Tensor& from) {
  std::transform(from.data<From>(), from.data<From>() + from.numel(), to.data<To>(),
                 [](From value) { return static_cast<To>(value); });
}

/// Copies f32 or f64 to f32 or f64, on any device.
void copy_converted(const Tensor& to, const Tensor& from) {
  const bool here = to.device() == Device::cpu;
  const Tensor room = here ? to : Tensor(to.shape(), to.dtype());
  const bool from_f64 = from.dtype() == DType::f64;
  if (to.dtype() == DType::f64) {
    from_f64 ? convert<double, double>(room, from) : convert<double, float>(room, from);
  } else {
    from_f64 ? convert<float, double>(room, from) : convert<float, float>(room, from);
  }
  if (!here) copy_tensor(to, room);
}

void require_whole(const Optimizer* optimizer, const fs::path& path) {
  FOLIO_CHECK(optimizer == nullptr || !optimizer->sharded(), path.string(),
              "the optimizer is sharded, and a file holds whole state");
}

}  // namespace

std::vector<NamedTensor> masters_of(const ParameterStore& store) {
  std::vector<NamedTensor> masters;
  for (const Parameter& parameter : store.parameters()) {
    masters.push_back({parameter.name, parameter.master});
  }
  return masters;
}

std::vector<NamedTensor> state_of(const ParameterStore& store, Optimizer& optimizer) {
  std::vector<NamedTensor> tensors;
  for (const OptimizerState& state : optimizer.state()) {
    for (const Parameter& parameter : store.parameters()) {
      if (!parameter.trained) continue;
      tensors.push_back({fmt::format("{}.{}", parameter.name, state.name),
                         state.slab.view(parameter.offset, parameter.shape)});
    }
  }
  return tensors;
}

LoadResult fill_tensors(const std::vector<NamedTensor>& wanted,
                        const std::vector<NamedTensor>& tensors, const fs::path& path,
                        const FillOptions& options) {
  const std::string where = path.string();
  std::map<std::string_view, const Tensor*> found;
  for (const NamedTensor& entry : tensors) found[entry.name] = &entry.tensor;
  std::set<std::string_view> names;
  LoadResult result;
  for (const auto& [name, tensor, transposed] : wanted) {
    names.insert(name);
    const auto entry = found.find(name);
    if (entry == found.end()) {
      FOLIO_CHECK(!options.strict, where, "{} is in the model but not in the file; {}", name,
                  options.question);
      result.missing.push_back(name);
      continue;
    }
    const Tensor& source = *entry->second;
    FOLIO_CHECK(source.shape() == tensor.shape(), where,
                "{} is {} in the file but {} in the model; {}", name, source.shape().to_string(),
                tensor.shape().to_string(), options.question);
    FOLIO_CHECK(source.dtype() == DType::f32 || source.dtype() == DType::f64, where,
                "{} is {} in the file; only f32 and f64 can be loaded", name,
                name_of(source.dtype()));
  }
  for (const NamedTensor& entry : tensors) {
    if (names.contains(entry.name) || (options.ignorable && options.ignorable(entry))) continue;
    FOLIO_CHECK(!options.strict, where, "{} is in the file but not in the model; {}", entry.name,
                options.question);
    result.unexpected.push_back(entry.name);
  }
  for (const auto& [name, tensor, transposed] : wanted) {
    if (const auto entry = found.find(name); entry != found.end()) {
      copy_converted(tensor, *entry->second);
    }
  }
  return result;
}

void save(const fs::path& path, const ParameterStore& store, Optimizer* optimizer, int64_t step) {
  FOLIO_CHECK(store.values(), path.string(), "the parameters must be initialized first");
  require_whole(optimizer, path);
  std::vector<NamedTensor> tensors = masters_of(store);
  if (optimizer != nullptr)
    std::ranges::move(state_of(store, *optimizer), std::back_inserter(tensors));
  fs::path temporary = path;
  temporary += fmt::format(".tmp-{}", ::getpid());
  std::error_code ignored;
  fs::remove(temporary, ignored);  // left by an earlier process with the same number
  const ScopeExit remove([&] { fs::remove(temporary, ignored); });
  try {
    write_safetensors(temporary, tensors, {{"format", "pt"}, {"step", std::to_string(step)}});
    rename_path(temporary, path);
  } catch (const Error& error) {  // the caller knows the final name only
    fail(path.string(), error.message(), error.remedy());
  }
  sync_directory(path.parent_path());
}

LoadResult load(const fs::path& path, ParameterStore& store, Optimizer* optimizer,
                const LoadOptions& options) {
  FOLIO_CHECK(store.values(), path.string(), "the parameters must be initialized first");
  require_whole(optimizer, path);
  std::vector<NamedTensor> wanted = masters_of(store);
  if (optimizer != nullptr)
    std::ranges::move(state_of(store, *optimizer), std::back_inserter(wanted));
  const SafetensorsFile file = read_safetensors(path);
  // Without an optimizer, its state in the file is not needed.
  const auto is_state = [&](const NamedTensor& entry) {
    const auto dot = entry.name.rfind('.');
    const std::string last = dot == entry.name.npos ? "" : entry.name.substr(dot + 1);
    const auto names_state = [&](OptimizerKind kind) {
      return std::ranges::count(state_names(kind), last) > 0;
    };
    return optimizer == nullptr &&
           (names_state(OptimizerKind::sgd) || names_state(OptimizerKind::adam));
  };
  LoadResult result =
      fill_tensors(wanted, file.tensors, path, {.strict = options.strict, .ignorable = is_state});
  if (const auto step = file.metadata.find("step"); step != file.metadata.end()) {
    const std::string& text = step->second;
    std::from_chars(text.data(), text.data() + text.size(), result.step);
  }
  store.masters_changed();
  return result;
}

}  // namespace folio
