#include "folio/models/huggingface.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <map>
#include <nlohmann/json.hpp>

#include "folio/io/transposed.h"
#include "folio/models/gpt.h"
#include "folio/tensor/error.h"

namespace folio {
namespace {

// A layer's name here and there; # is the number of a block. Conv1D there multiplies by (in, out).
struct Layer {
  std::string_view folio, huggingface;
  bool conv1d = false;
};
constexpr std::array<Layer, 10> layers = {{
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

// What stands in `text` where `pattern` has its #; nothing if they do not fit.
std::optional<std::string_view> block_in(std::string_view text, std::string_view pattern) {
  const size_t mark = pattern.find('#');
  if (mark == pattern.npos) {
    return text == pattern ? std::optional(std::string_view()) : std::nullopt;
  }
  const std::string_view before = pattern.substr(0, mark), after = pattern.substr(mark + 1);
  if (text.size() <= before.size() + after.size() || !text.starts_with(before) ||
      !text.ends_with(after)) {
    return std::nullopt;
  }
  text.remove_prefix(before.size());
  text.remove_suffix(after.size());
  const bool digits = std::ranges::all_of(text, [](char c) { return '0' <= c && c <= '9'; });
  return digits ? std::optional(text) : std::nullopt;
}

struct Translation {
  std::string name;
  bool known = false, transposed = false;
};

Translation translate(std::string_view name, std::string_view Layer::*from,
                      std::string_view Layer::*to) {
  const size_t dot = std::min(name.rfind('.'), name.size());
  const std::string_view leaf = name.substr(dot);
  if (leaf == ".weight" || leaf == ".bias") {
    for (const Layer& layer : layers) {
      const auto block = block_in(name.substr(0, dot), layer.*from);
      if (!block) continue;
      std::string result(layer.*to);
      if (const size_t mark = result.find('#'); mark != result.npos) {
        result.replace(mark, 1, *block);
      }
      return {result.append(leaf), true, layer.conv1d && leaf == ".weight"};
    }
  }
  return {std::string(name)};
}

Translation to_there(std::string_view name) {
  return translate(name, &Layer::folio, &Layer::huggingface);
}

Translation from_there(std::string_view name) {
  return translate(name, &Layer::huggingface, &Layer::folio);
}

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

std::string config_json(const GptConfig& config, std::optional<int32_t> end_of_text) {
  ParameterStore unused;
  const double eps = LayerNorm(Scope(unused) / "norm", 1, false).eps;
  nlohmann::ordered_json end;  // null
  if (end_of_text) end = *end_of_text;
  const nlohmann::ordered_json object = {
      {"architectures", {"GPT2LMHeadModel"}},
      {"model_type", "gpt2"},
      {"vocab_size", config.vocabulary},
      {"n_positions", config.context},
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

std::string to_huggingface_name(std::string_view name) { return to_there(name).name; }

std::string from_huggingface_name(std::string_view name) { return from_there(name).name; }

std::vector<NamedTensor> to_huggingface(const ParameterStore& parameters) {
  std::vector<NamedTensor> tensors;
  for (const Parameter& parameter : parameters.parameters()) {
    const Translation there = to_there(parameter.name);
    tensors.push_back(
        {there.name, parameter.master, there.transposed && parameter.shape.rank() == 2});
  }
  return tensors;
}

void from_huggingface(std::vector<NamedTensor>& tensors) {
  for (NamedTensor& entry : tensors) {
    const Translation here = from_there(entry.name);
    entry.name = here.name;
    if (here.transposed && entry.tensor.shape().rank() == 2) {
      entry.tensor = transposed(entry.tensor);
    }
  }
}

std::optional<Gpt2Export> export_gpt2(const GptConfig& config, const ParameterStore& parameters,
                                      std::optional<int32_t> end_of_text) {
  if (config.norm != Norm::pre || config.positions != Positions::learned) return std::nullopt;
  // Parameters that are not initialized have a name and a shape, but take no memory.
  GptConfig with_biases = config;
  with_biases.bias = true;
  ParameterStore whole;
  const Gpt model(Scope(whole), with_biases);
  std::map<std::string_view, const Shape*> shapes;  // of the parameters not yet found in GPT-2
  for (const Parameter& parameter : parameters.parameters()) {
    shapes[parameter.name] = &parameter.shape;
  }
  Gpt2Export result{config_json(config, end_of_text), {}};
  for (const Parameter& wanted : whole.parameters()) {
    if (const auto here = shapes.find(wanted.name); here != shapes.end()) {
      if (*here->second != wanted.shape) return std::nullopt;
      shapes.erase(here);
    } else if (!config.bias && wanted.name.ends_with(".bias")) {
      Tensor zeros(wanted.shape, accumulator_of(parameters.dtype()));
      std::memset(zeros.raw(), 0, static_cast<size_t>(zeros.bytes()));
      result.zero_biases.push_back({to_huggingface_name(wanted.name), zeros});
    } else {
      return std::nullopt;
    }
  }
  if (!shapes.empty()) return std::nullopt;
  return result;
}

bool is_zero_bias(const NamedTensor& entry) {
  if (!entry.name.ends_with(".bias") || !to_there(entry.name).known) return false;
  const auto* bytes = static_cast<const char*>(entry.tensor.raw());
  return std::all_of(bytes, bytes + entry.tensor.bytes(), [](char byte) { return byte == 0; });
}

}  // namespace folio
