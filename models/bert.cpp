#include "folio/models/bert.h"

#include <fmt/format.h>

#include <optional>

#include "folio/autograd/ops.h"
#include "folio/tensor/error.h"

namespace folio {
namespace {

const BertConfig& checked(const BertConfig& config) {
  FOLIO_CHECK(config.vocabulary > 0 && config.layers > 0 && config.heads > 0 && config.width > 0 &&
                  config.context > 0,
              "model",
              "vocabulary {}, layers {}, heads {}, width {}, context {}: all must be positive",
              config.vocabulary, config.layers, config.heads, config.width, config.context);
  return config;
}

}  // namespace

void BertConfig::bind(Section& section) {
  section.integer("layers", layers, 1, most_layers, "residual blocks");
  section.integer("heads", heads, 1, most_heads, "must divide the width");
  section.integer("width", width, 1, most_width, "C, channels");
  section.integer("context", context, 1, most_context, "T, tokens the model sees");
  section.number("dropout", dropout, fraction, "probability, 0 to below 1");
  section.rule("heads", "width", [this]() -> std::string {
    if (width % heads == 0) return "";
    return fmt::format("{} does not divide model.width {}; choose heads that divide the width",
                       heads, width);
  });
}

std::string BertConfig::summary() const {
  return fmt::format("{} layers, {} heads, width {}, context {}", layers, heads, width, context);
}

std::unique_ptr<Model> BertConfig::make(const Scope& scope, const ModelInputs& inputs) const {
  BertConfig config = *this;
  config.vocabulary = inputs.vocabulary;
  config.recompute = inputs.recompute;
  return std::make_unique<Bert>(scope, config);
}

Bert::Bert(const Scope& scope, const BertConfig& config)
    : Model(scope),
      config_(checked(config)),
      token_embedding_(scope / "token_embedding", config.vocabulary + 1, config.width),
      positions_(scope / "position_embedding", Positions::learned, config.context, config.width),
      embedding_norm_(scope / "embedding_norm", config.width, true),
      embedding_dropout_(scope / "embedding", config.dropout),
      transform_(scope / "transform", config.width, config.width, true, Init::normal(0.02),
                 Activation::gelu),
      transform_norm_(scope / "transform_norm", config.width, true),
      output_bias_(&scope.parameter("output.bias", {config.vocabulary + 1}, Init::zeros())) {
  blocks_.reserve(config.layers);
  for (int64_t i = 0; i < config.layers; ++i) {
    blocks_.emplace_back(scope / fmt::format("blocks.{}", i),
                         BlockOptions{.width = config.width,
                                      .heads = config.heads,
                                      .causal = false,
                                      .dropout = config.dropout,
                                      .bias = true,
                                      .norm = Norm::post,
                                      .activation = Activation::gelu,
                                      .recompute = config.recompute});
  }
}

Variable Bert::hidden(Tape& tape, const Batch& batch) const {
  const Tensor& tokens = batch["tokens"];
  FOLIO_CHECK(tokens.shape().rank() == 2 && tokens.dim(1) <= config_.context, "bert",
              "tokens are {}; wanted (B, T) with T at most the context, {}", tokens.describe(),
              config_.context);
  std::optional<Tensor> mask;
  if (batch.contains("mask")) mask = batch["mask"];
  const Variable table = token_embedding_.weight->variable();
  const Variable embedded = embedding(tape, tokens, table, positions_(table.value));
  ResidualStream x;
  x.stream = embedding_dropout_(tape, embedding_norm_(tape, embedded));
  for (const Block& block : blocks_) block(tape, x, mask);
  return x.stream;
}

Variable Bert::forward(Tape& tape, const Batch& batch) const {
  const Variable x = transform_norm_(tape, transform_(tape, hidden(tape, batch)));
  return linear(tape, x, token_embedding_.weight->variable(), output_bias_->variable());
}

}  // namespace folio
