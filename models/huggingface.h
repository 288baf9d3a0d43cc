// Names and layouts of a family's weights in Hugging Face's files.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "folio/autograd/parameters.h"
#include "folio/models/model.h"

namespace folio {

/// A parameter's name under the rules, or `name` itself if no rule knows it.
std::string huggingface_name(std::span<const NameRule> rules, std::string_view name);
/// The other way.
std::string folio_name(std::span<const NameRule> rules, std::string_view name);

/// All masters, renamed and, where a rule says so, to be written transposed. The memory is the
/// store's.
std::vector<NamedTensor> to_huggingface(std::span<const NameRule> rules,
                                        const ParameterStore& parameters);
/// Renames and transposes what was read. Tensors that no rule knows stay as they are.
void from_huggingface(std::span<const NameRule> rules, std::vector<NamedTensor>& tensors);

/// Whether the tensor is a bias under these rules (by Folio's name), all of it zero: what a file
/// has in place of a bias that the model lacks.
bool is_zero_bias(std::span<const NameRule> rules, const NamedTensor& tensor);

}  // namespace folio
