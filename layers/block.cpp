#include "folio/layers/block.h"

#include <cmath>

#include "folio/tensor/error.h"

namespace folio {
namespace {

Activation activation_of(FeedForwardActivation activation) {
  switch (activation) {
    case FeedForwardActivation::relu: return Activation::relu;
    case FeedForwardActivation::gelu: return Activation::gelu;
    case FeedForwardActivation::gelu_tanh: return Activation::gelu_tanh;
  }
  return Activation::none;
}

/// Each of the 2 layers residual projections adds its variance to the stream.
Init residual_init(const GptConfig& config) {
  return Init::normal(0.02 / std::sqrt(2.0 * static_cast<double>(config.layers)));
}

}  // namespace

Variable ResidualStream::normalize(Tape& tape, const LayerNorm& norm) {
  if (!update.value) return norm(tape, stream);
  NormalizedSum result = norm(tape, stream, update, *dropout);
  stream = std::move(result.sum);
  update = {};
  return std::move(result.normalized);
}

Block::Block(const Scope& scope, const GptConfig& config)
    : attention_norm(scope / "attention_norm", config.width, config.bias),
      attention(scope / "attention", config.width, config.heads, config.bias, config.dropout,
                residual_init(config)),
      attention_dropout(scope / "attention_residual", config.dropout),
      feed_forward_norm(scope / "feed_forward_norm", config.width, config.bias),
      feed_forward(scope / "feed_forward", config.width, 4 * config.width, config.bias,
                   activation_of(config.activation), residual_init(config)),
      feed_forward_dropout(scope / "feed_forward_residual", config.dropout),
      order(config.norm) {}

void Block::operator()(Tape& tape, ResidualStream& x, const KeyValueCache::Layer* cache) const {
  const auto attend = [&](const Variable& input) {
    return cache != nullptr ? attention(tape, input, *cache)
                            : attention(tape, input, /*causal=*/true);
  };
  if (order == Norm::pre) {
    x.update = attend(x.normalize(tape, attention_norm));
    x.dropout = &attention_dropout;
    x.update = feed_forward(tape, x.normalize(tape, feed_forward_norm));
    x.dropout = &feed_forward_dropout;
  } else {
    x.update = attend(x.stream);
    x.dropout = &attention_dropout;
    x.stream = x.normalize(tape, attention_norm);
    x.update = feed_forward(tape, x.stream);
    x.dropout = &feed_forward_dropout;
    x.stream = x.normalize(tape, feed_forward_norm);
  }
}

}  // namespace folio
