#include "folio/models/gpt.h"

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
          .dropout = config.dropout,
          .bias = config.bias,
          .norm = config.norm,
          .activation = config.activation,
          .recompute = config.recompute,
          .residual_init = Init::normal(residual)};
}

}  // namespace

Gpt::Gpt(const Scope& scope, const GptConfig& config)
    : config_(checked(config)),
      token_embedding_(scope / "token_embedding", config.vocabulary, config.width),
      positions_(std::make_unique<PositionalEncoding>(
          scope / "position_embedding", config.positions, config.context, config.width)),
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

Variable Gpt::hidden(Tape& tape, const Tensor& tokens, const KeyValueCache* cache) const {
  const int64_t start = cache != nullptr ? cache->length : 0;
  FOLIO_CHECK(tokens.shape().rank() == 2 && start + tokens.dim(1) <= config_.context, "gpt",
              "tokens are {}; wanted (B, T) with T at most the context, {}, less {} cached",
              tokens.describe(), config_.context, start);
  const Variable table = token_embedding_.weight->variable();
  Variable positions = (*positions_)(table.value);
  if (start > 0) {
    const int64_t width = config_.width;
    positions = {positions.value.view(start * width, {config_.context - start, width})};
  }
  ResidualStream x;
  x.stream = embedding_dropout_(tape, embedding(tape, tokens, table, positions));
  for (size_t i = 0; i < blocks_.size(); ++i) {
    if (cache == nullptr) {
      blocks_[i](tape, x);
    } else {
      const KeyValueCache::Layer layer = cache->layer(i);
      blocks_[i](tape, x, &layer);
    }
  }
  return final_norm_ ? x.normalize(tape, *final_norm_) : x.stream;
}

Variable Gpt::project(Tape& tape, const Variable& hidden) const {
  if (output_) return (*output_)(tape, hidden);
  return linear(tape, hidden, token_embedding_.weight->variable(), nullptr);
}

Variable Gpt::logits(Tape& tape, const Tensor& tokens) const {
  return project(tape, hidden(tape, tokens));
}

KeyValueCache Gpt::new_cache(int64_t batch) const {
  const Tensor& weight = token_embedding_.weight->value;
  return {config_.layers, batch, config_.context, config_.width, weight.dtype(), weight.device()};
}

Variable Gpt::next_logits(Tape& tape, const Tensor& tokens, KeyValueCache& cache) const {
  const Variable all = hidden(tape, tokens, &cache);
  cache.length += tokens.dim(1);
  return project(tape, slice(tape, all, 1, tokens.dim(1) - 1, 1));
}

Variable Gpt::loss(Tape& tape, const Tensor& tokens, const Tensor& targets, double label_smoothing,
                   int64_t valid_targets) const {
  return cross_entropy(
      tape, logits(tape, tokens), targets,
      {.label_smoothing = label_smoothing, .ignored_index = -1, .valid_targets = valid_targets});
}

}  // namespace folio
