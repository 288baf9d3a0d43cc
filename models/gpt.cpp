#include "folio/models/gpt.h"

#include <fmt/format.h>

#include <cmath>

#include "folio/tensor/error.h"

namespace folio {
namespace {

const GptConfig& checked(const GptConfig& config) {
  FOLIO_CHECK(config.vocabulary > 0 && config.layers > 0 && config.heads > 0 && config.width > 0 &&
                  config.context > 0,
              "model",
              "vocabulary {}, layers {}, heads {}, width {}, context {}: all must be positive",
              config.vocabulary, config.layers, config.heads, config.width, config.context);
  return config;
}

BlockOptions block_options(const GptConfig& config) {
  // Each of the 2 layers residual projections adds its variance to the stream.
  const double residual = 0.02 / std::sqrt(2.0 * static_cast<double>(config.layers));
  return {.width = config.width,
          .heads = config.heads,
          .causal = true,
          .dropout = config.dropout,
          .bias = config.bias,
          .norm = config.norm,
          .activation = config.activation,
          .recompute = config.recompute,
          .residual_init = Init::normal(residual)};
}

}  // namespace

void GptConfig::bind(Section& section) {
  section.integer("layers", layers, 1, most_layers, "residual blocks");
  section.integer("heads", heads, 1, most_heads, "must divide the width");
  section.integer("width", width, 1, most_width, "C, channels");
  section.integer("context", context, 1, most_context, "T, tokens the model sees");
  section.number("dropout", dropout, fraction, "probability, 0 to below 1");
  section.boolean("bias", bias, "in linear layers and layer norms");
  section.choice<Norm>("norm", norm, {{"pre", Norm::pre}, {"post", Norm::post}},
                       "where blocks normalise");
  section.choice<Positions>(
      "positions", positions,
      {{"learned", Positions::learned}, {"sinusoidal", Positions::sinusoidal}}, "encoding");
  section.choice<Activation>("activation", activation,
                             {{"relu", Activation::relu},
                              {"gelu", Activation::gelu},
                              {"gelu_tanh", Activation::gelu_tanh}},
                             "of the feed-forward");
  section.boolean("tied", tied, "the output embedding is the token embedding");
  section.rule("heads", "width", [this]() -> std::string {
    if (width % heads == 0) return "";
    return fmt::format("{} does not divide model.width {}; choose heads that divide the width",
                       heads, width);
  });
}

std::string GptConfig::summary() const {
  return fmt::format("{} layers, {} heads, width {}, context {}", layers, heads, width, context);
}

std::unique_ptr<Model> GptConfig::make(const Scope& scope, const ModelInputs& inputs) const {
  GptConfig config = *this;
  config.vocabulary = inputs.vocabulary;
  config.recompute = inputs.recompute;
  return std::make_unique<Gpt>(scope, config);
}

Gpt::Gpt(const Scope& scope, const GptConfig& config)
    : LanguageModel(scope),
      config_(checked(config)),
      token_embedding_(scope / "token_embedding", config.vocabulary, config.width),
      positions_(scope / "position_embedding", config.positions, config.context, config.width),
      embedding_dropout_(scope / "embedding", config.dropout) {
  blocks_.reserve(config.layers);
  for (int64_t i = 0; i < config.layers; ++i) {
    blocks_.emplace_back(scope / fmt::format("blocks.{}", i), block_options(config));
  }
  if (config.norm == Norm::pre) {
    final_norm_ = std::make_unique<LayerNorm>(scope / "final_norm", config.width, config.bias);
  }
  if (!config.tied) {
    output_ = std::make_unique<Linear>(scope / "output", config.width, config.vocabulary, false);
  }
}

Variable Gpt::hidden(Tape& tape, const Tensor& tokens, const DecoderState* state) const {
  const int64_t start = state != nullptr ? state->length : 0;
  FOLIO_CHECK(tokens.shape().rank() == 2 && start + tokens.dim(1) <= config_.context, "gpt",
              "tokens are {}; wanted (B, T) with T at most the context, {}, less {} cached",
              tokens.describe(), config_.context, start);
  const Variable table = token_embedding_.weight->variable();
  Variable positions = positions_(table.value);
  if (start > 0) {
    const int64_t width = config_.width;
    positions = {positions.value.view(start * width, {config_.context - start, width})};
  }
  ResidualStream x;
  x.stream = embedding_dropout_(tape, embedding(tape, tokens, table, positions));
  for (size_t i = 0; i < blocks_.size(); ++i) {
    if (state == nullptr) {
      blocks_[i](tape, x);
    } else {
      blocks_[i](tape, x, KeyValueCache{state->tensors[i], start});
    }
  }
  return final_norm_ ? x.normalize(tape, *final_norm_) : x.stream;
}

Variable Gpt::hidden(Tape& tape, const Batch& batch) const {
  return hidden(tape, batch["tokens"], nullptr);
}

Variable Gpt::logits(Tape& tape, const Variable& hidden) const {
  if (output_) return (*output_)(tape, hidden);
  return linear(tape, hidden, token_embedding_.weight->variable());
}

Variable Gpt::logits(Tape& tape, const Tensor& tokens) const {
  return logits(tape, hidden(tape, tokens, nullptr));
}

DecoderState Gpt::begin(const Batch&, int64_t texts) const {
  DecoderState state;
  for (int64_t i = 0; i < config_.layers; ++i) {
    state.tensors.emplace_back(Shape{texts, config_.context, 2 * config_.width}, dtype(), device());
  }
  return state;
}

Variable Gpt::next(Tape& tape, const Tensor& tokens, DecoderState& state) const {
  const Variable all = hidden(tape, tokens, &state);
  state.length += tokens.dim(1);
  return logits(tape, slice(tape, all, 1, tokens.dim(1) - 1, 1));
}

Variable Gpt::loss(Tape& tape, const Tensor& tokens, const Tensor& targets, double label_smoothing,
                   int64_t valid_targets) const {
  return cross_entropy(tape, logits(tape, tokens), targets,
                       {.label_smoothing = label_smoothing,
                        .ignored_index = ignored_target,
                        .valid_targets = valid_targets});
}

}  // namespace folio
