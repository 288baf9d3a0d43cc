// Tensors of a file, copied to where a model has those of the same names.
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

/// Fills every wanted tensor from the one of its name among `tensors`, which are those of the file
/// `path`. A bias of zeros that is not wanted, as a writer under `rules` adds it, is passed over.
/// Throws Error where names, shapes or types do not fit, ending in `question`; everything is
/// checked before anything is changed.
void fill_tensors(const std::vector<NamedTensor>& wanted, const std::vector<NamedTensor>& tensors,
                  const std::filesystem::path& path, std::string_view question,
                  std::span<const NameRule> rules = {});

}  // namespace folio
