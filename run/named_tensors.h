// Copies the tensors of a file to the model's tensors of the same names.
#pragma once

#include <filesystem>
#include <span>
#include <string_view>
#include <vector>

#include "folio/autograd/parameters.h"
#include "folio/io/safetensors.h"
#include "folio/models/model.h"

namespace folio {

/// The masters of all parameters, which share the store's memory.
std::vector<NamedTensor> masters_of(const ParameterStore& parameters);

/// Fills each wanted tensor from the tensor of the same name in the file `path`. Ignores biases of
/// zeros that are not wanted, which files under `rules` may have. Throws Error, ending in
/// `question`, if names, shapes or types do not match; nothing is changed then.
void fill_tensors(const std::vector<NamedTensor>& wanted, const std::vector<NamedTensor>& tensors,
                  const std::filesystem::path& path, std::string_view question,
                  std::span<const NameRule> rules = {});

}  // namespace folio
