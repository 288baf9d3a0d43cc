// The GPT as Hugging Face's GPT-2: names, config.json, and what other writers leave in files.
#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "folio/models/gpt.h"
#include "folio/models/huggingface.h"

namespace folio {
namespace {

// A Conv1D there multiplies by (inputs, outputs).
constexpr std::array<NameRule, 10> gpt2_names = {{
    {"token_embedding", "transformer.wte"},
    {"position_embedding", "transformer.wpe"},
    {"blocks.#.attention_norm", "transformer.h.#.ln_1"},
    {"blocks.#.attention.qkv", "transformer.h.#.attn.c_attn", true},
    {"blocks.#.attention.projection", "transformer.h.#.attn.c_proj", true},
    {"blocks.#.feed_forward_norm", "transformer.h.#.ln_2"},
    {"blocks.#.feed_forward.up", "transformer.h.#.mlp.c_fc", true},
    {"blocks.#.feed_forward.down", "transformer.h.#.mlp.c_proj", true},
    {"final_norm", "transformer.ln_f"},
    {"output", "lm_head"},
}};

std::string_view activation_name(Activation activation) {
  switch (activation) {
    case Activation::none:
      return "linear";
    case Activation::relu:
      return "relu";
    case Activation::gelu:
      return "gelu";
    case Activation::gelu_tanh:
      return "gelu_new";
  }
  return "";
}

std::string config_json(const GptConfig& config, double eps, std::optional<int32_t> end_of_text) {
  nlohmann::ordered_json end;  // null
  if (end_of_text) end = *end_of_text;
  const nlohmann::ordered_json object = {
      {"architectures", {"GPT2LMHeadModel"}},
      {"model_type", "gpt2"},
      {"vocab_size", config.vocabulary},
      {"n_positions", config.context},
      {"n_ctx", config.context},  // which llama.cpp's converter reads
      {"n_embd", config.width},
      {"n_layer", config.layers},
      {"n_head", config.heads},
      {"activation_function", activation_name(config.activation)},
      {"embd_pdrop", config.dropout},
      {"attn_pdrop", config.dropout},
      {"resid_pdrop", config.dropout},
      {"layer_norm_epsilon", eps},
      {"tie_word_embeddings", config.tied},
      // There these are token 50256 by default, which may lie beyond this vocabulary.
      {"bos_token_id", end},
      {"eos_token_id", end},
  };
  return object.dump(2) + "\n";
}

}  // namespace

std::span<const NameRule> Gpt::huggingface() const { return gpt2_names; }

std::optional<HuggingFaceFiles> Gpt::to_huggingface(const Tokenizer& tokenizer) const {
  if (config_.norm != Norm::pre || config_.positions != Positions::learned) return std::nullopt;
  // Parameters that are not initialized take no memory.
  ParameterStore plain;
  const Gpt same(Scope(plain), config_);
  if (!std::ranges::equal(plain.parameters(), store().parameters(), {}, &Parameter::name,
                          &Parameter::name)) {
    return std::nullopt;  // the store has more, such as an adapter's
  }
  HuggingFaceFiles files{config_json(config_, final_norm_->eps, tokenizer.end_of_text()), {}};
  if (config_.bias) return files;
  // GPT-2 always has biases.
  GptConfig with_biases = config_;
  with_biases.bias = true;
  ParameterStore whole;
  const Gpt model(Scope(whole), with_biases);
  for (const Parameter& parameter : whole.parameters()) {
    if (!parameter.name.ends_with(".bias")) continue;
    Tensor zeros(parameter.shape, accumulator_of(dtype()));
    std::memset(zeros.raw(), 0, static_cast<size_t>(zeros.bytes()));
    files.more_tensors.push_back({huggingface_name(gpt2_names, parameter.name), zeros});
  }
  return files;
}

void Gpt::from_huggingface(std::vector<NamedTensor>& tensors) const {
  // Old files have the causal mask, and a tied output a second time.
  std::erase_if(tensors, [&](const NamedTensor& entry) {
    return entry.name.ends_with(".attn.bias") || entry.name.ends_with(".attn.masked_bias") ||
           (!output_ && entry.name == "lm_head.weight");
  });
  // GPT2Model's names have no "transformer.".
  for (NamedTensor& entry : tensors) {
    const std::string longer = "transformer." + entry.name;
    if (folio_name(gpt2_names, longer) != longer) entry.name = longer;
  }
}

bool Gpt::takes_first_rows(std::string_view name) const {
  return name == "position_embedding.weight";
}

}  // namespace folio
