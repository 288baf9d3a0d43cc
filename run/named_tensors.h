// Copies tensors of a file to a model's tensors of the same names.
#pragma once

#include <filesystem>
#include <span>
#include <string_view>
#include <vector>

#include "folio/autograd/parameters.h"
#include "folio/io/safetensors.h"
#include "folio/models/model.h"

namespace folio {

/// The masters of all parameters under their names; their memory is the store's.
std::vector<NamedTensor> masters_of(const ParameterStore& parameters);

/// Fills every wanted tensor from the tensor of the same name among `tensors`, which come from the
/// file `path`. Biases of zeros that are not wanted are ignored, because writers under `rules` add
/// them. Throws Error, with `question` at its end, if names, shapes or types do not match; then no
/// tensor is changed.
void fill_tensors(const std::vector<NamedTensor>& wanted, const std::vector<NamedTensor>& tensors,
                  const std::filesystem::path& path, std::string_view question,
                  std::span<const NameRule> rules = {});

}  // namespace folio
