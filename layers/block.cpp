#include "folio/layers/block.h"

#include <array>
#include <utility>

#include "folio/autograd/recompute.h"
#include "folio/tensor/error.h"

namespace folio {
namespace {

/// part(tape, x) under activation checkpointing: only x as it is now stays alive for the backward
/// pass, which runs the part again.
template <class Part>
void checkpointed(Tape& tape, ResidualStream& x, const Part& part) {
  const auto run = [part, dropout = x.dropout](Tape& tape, const std::array<Variable, 2>& inputs) {
    ResidualStream inner{inputs[0], inputs[1], dropout};
    part(tape, inner);
    return std::array<Variable, 2>{std::move(inner.stream), std::move(inner.update)};
  };
  auto outputs =
      recompute(tape, std::array<Variable, 2>{std::move(x.stream), std::move(x.update)}, run);
  x.stream = std::move(outputs[0]);
  x.update = std::move(outputs[1]);
}

}  // namespace

Variable ResidualStream::normalize(Tape& tape, const LayerNorm& norm) {
  if (!update.value) return norm(tape, stream);
  NormalizedSum result = norm(tape, stream, update, *dropout);
  stream = std::move(result.sum);
  update = {};
  return std::move(result.normalized);
}

Block::Block(const Scope& scope, const BlockOptions& options)
    : attention_norm(scope / "attention_norm", options.width, options.bias),
      attention(scope / "attention", {.width = options.width,
                                      .heads = options.heads,
                                      .causal = options.causal,
                                      .dropout = options.dropout,
                                      .bias = options.bias,
                                      .projection_init = options.residual_init}),
      attention_dropout(scope / "attention_residual", options.dropout),
      feed_forward_norm(scope / "feed_forward_norm", options.width, options.bias),
      feed_forward(scope / "feed_forward", options.width, 4 * options.width, options.bias,
                   options.activation, options.residual_init),
      feed_forward_dropout(scope / "feed_forward_residual", options.dropout),
      order(options.norm),
      again(options.recompute) {}

void Block::operator()(Tape& tape, ResidualStream& x, const std::optional<Tensor>& key_mask) const {
  run(tape, x, key_mask);
}

void Block::operator()(Tape& tape, ResidualStream& x, const KeyValueCache& cache) const {
  run(tape, x, cache);
}

void Block::run(Tape& tape, ResidualStream& x, const Seen& seen) const {
  switch (again) {
    case Recompute::none:
      attention_half(tape, x, seen);
      feed_forward_half(tape, x);
      break;
    case Recompute::mlp:
      attention_half(tape, x, seen);
      checkpointed(tape, x, [this](Tape& tape, ResidualStream& x) { feed_forward_half(tape, x); });
      break;
    case Recompute::block:
      checkpointed(tape, x, [this, seen](Tape& tape, ResidualStream& x) {
        attention_half(tape, x, seen);
        feed_forward_half(tape, x);
      });
      break;
  }
  x.dropout = &feed_forward_dropout;
}

void Block::attention_half(Tape& tape, ResidualStream& x, const Seen& seen) const {
  const auto attend = [&](const Variable& input) {
    return std::visit([&](const auto& what) { return attention(tape, input, what); }, seen);
  };
  x.update = attend(order == Norm::pre ? x.normalize(tape, attention_norm) : x.stream);
  x.dropout = &attention_dropout;
  if (order == Norm::post) x.stream = x.normalize(tape, attention_norm);
}

void Block::feed_forward_half(Tape& tape, ResidualStream& x) const {
  x.update =
      feed_forward(tape, order == Norm::pre ? x.normalize(tape, feed_forward_norm) : x.stream);
  x.dropout = &feed_forward_dropout;
  if (order == Norm::post) x.stream = x.normalize(tape, feed_forward_norm);
}

}  // namespace folio
