// Hugging Face's GPT-2: its names of parameters, and its config.json. A checkpoint's weights bear
// these names, so that `GPT2LMHeadModel.from_pretrained(checkpoint)` and whatever else reads GPT-2
// reads them. Names that are not a GPT-2's stay as they are: models of one's own are saved too.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "folio/autograd/parameters.h"
#include "folio/io/safetensors.h"
#include "folio/models/gpt_config.h"

namespace folio {

/// "blocks.3.attention.qkv.weight" becomes "transformer.h.3.attn.c_attn.weight".
std::string to_huggingface_name(std::string_view name);
/// The way back.
std::string from_huggingface_name(std::string_view name);

/// The parameters as the file has them: under the names there and, for weights of what is a Conv1D
/// there, (in, out) instead of (out, in). Their memory is the store's.
std::vector<NamedTensor> to_huggingface(const ParameterStore& parameters);
/// Renames and transposes what was read back.
void from_huggingface(std::vector<NamedTensor>& tensors);

/// What makes a model's weights a GPT-2 there.
struct Gpt2Export {
  std::string config;                    // the text of config.json
  std::vector<NamedTensor> zero_biases;  // those that the model lacks, under the names there
};

/// Nothing unless the model is a GPT-2: normalised before its sub-layers, positions learned, and
/// its parameters those that Gpt makes from `config` (vocabulary included). Any activation will do,
/// tied or not, with biases or without. `end_of_text`: the tokenizer's.
std::optional<Gpt2Export> export_gpt2(const GptConfig& config, const ParameterStore& parameters,
                                      std::optional<int32_t> end_of_text = std::nullopt);

/// Whether a tensor (under Folio's name) is what export_gpt2() adds: a bias of GPT-2, all zero.
bool is_zero_bias(const NamedTensor& tensor);

}  // namespace folio
