// Saves parameters and an optimizer's state to a safetensors file, and loads them.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "folio/autograd/parameters.h"
#include "folio/io/safetensors.h"
#include "folio/optim/optimizer.h"

namespace folio {

/// Writes the masters of all parameters, under their names, to `path`; with an optimizer, also its
/// state, as "NAME.first_moment" and so on, and `step`, the number of steps done. A file that
/// exists is replaced, and a crash at any time leaves the old file or the new one. Throws Error
/// with the path, and for an optimizer that is sharded.
void save(const std::filesystem::path& path, const ParameterStore& store,
          Optimizer* optimizer = nullptr, int64_t step = 0);

struct LoadOptions {
  /// Whether it is an error if the file lacks a tensor or has one that is not needed.
  bool strict = true;
};

struct LoadResult {
  int64_t step = 0;                     // as it was saved; 0 if the file does not say
  std::vector<std::string> missing;     // not in the file; they keep their values
  std::vector<std::string> unexpected;  // in the file, but not needed
};

/// Fills the parameters of `store`, which must be initialized, and the state of the optimizer from
/// a file that save() or another program wrote. Parameters are matched by name, and f32 and f64 are
/// converted. Throws Error, with the path and the name of a tensor, if shapes or types do not match
/// and, if options.strict, unless names match too; then nothing is changed.
LoadResult load(const std::filesystem::path& path, ParameterStore& store,
                Optimizer* optimizer = nullptr, const LoadOptions& options = {});

/// The masters of all parameters under their names, in the store's memory.
std::vector<NamedTensor> masters_of(const ParameterStore& store);

/// The optimizer's state, parameter by parameter, in the memory of its slabs.
std::vector<NamedTensor> state_of(const ParameterStore& store, Optimizer& optimizer);

struct FillOptions {
  bool strict = true;
  std::string_view question = "is this another model's file?";  // ends messages about mismatches
  /// Whether a tensor of the file that is not wanted may be ignored; empty: none may.
  std::function<bool(const NamedTensor&)> ignorable = {};
};

/// Fills every wanted tensor from the one of the same name among `tensors`, which come from the
/// file `path`. Throws Error if they do not match; then nothing is changed.
LoadResult fill_tensors(const std::vector<NamedTensor>& wanted,
                        const std::vector<NamedTensor>& tensors, const std::filesystem::path& path,
                        const FillOptions& options = {});

}  // namespace folio
