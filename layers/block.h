// A residual block: attention, then feed-forward, each with a residual connection and a norm.
#pragma once

#include <cstdint>
#include <optional>
#include <variant>

#include "folio/layers/attention.h"
#include "folio/layers/dropout.h"
#include "folio/layers/feed_forward.h"
#include "folio/layers/layer_norm.h"

namespace folio {

enum class Norm : uint8_t { pre, post };  // GPT-2's order; Vaswani et al. 2017's
/// Activation checkpointing: the part of a block that the backward pass computes again instead of
/// keeping its activations. It does not change any bit of the results.
enum class Recompute : uint8_t { none, mlp, block };

struct BlockOptions {
  int64_t width = 0;  // C; heads must divide it
  int64_t heads = 1;
  bool causal = true;  // a position attends to itself and earlier ones
  double dropout = 0.0;
  bool bias = false;  // of linear layers and layer norms
  Norm norm = Norm::pre;
  Activation activation = Activation::gelu;
  Recompute recompute = Recompute::none;
  Init residual_init = Init::normal(0.02);  // of the projections into the residual stream
};

/// The residual stream between blocks, with the output of the last sub-layer pending: the next norm
/// adds it in its own pass over memory.
struct ResidualStream {
  Variable stream;                   // (B, T, C)
  Variable update;                   // (B, T, C), pending; or empty
  const Dropout* dropout = nullptr;  // of the update

  /// Adds the pending update to the stream, and returns the normalised stream.
  Variable normalize(Tape& tape, const LayerNorm& norm);
};

struct Block {
  LayerNorm attention_norm;
  SelfAttention attention;
  Dropout attention_dropout;
  LayerNorm feed_forward_norm;
  FeedForward feed_forward;
  Dropout feed_forward_dropout;
  Norm order;
  Recompute again;  // in the backward pass

  Block(const Scope& scope, const BlockOptions& options);

  /// Pre-norm (GPT-2): x + f(norm(x)) for each sub-layer f. Post-norm (Vaswani): norm(x + f(x)).
  /// key_mask: i32 (B, T), 0 where a position is padding.
  void operator()(Tape& tape, ResidualStream& x,
                  const std::optional<Tensor>& key_mask = std::nullopt) const;
  /// The positions of x follow those of the cache, to which they are added.
  void operator()(Tape& tape, ResidualStream& x, const KeyValueCache& cache) const;

 private:
  /// The second operand of a call's attention: a key mask or a cache.
  using Seen = std::variant<std::optional<Tensor>, KeyValueCache>;
  void run(Tape& tape, ResidualStream& x, const Seen& seen) const;
  void attention_half(Tape& tape, ResidualStream& x, const Seen& seen) const;
  void feed_forward_half(Tape& tape, ResidualStream& x) const;
};

}  // namespace folio
