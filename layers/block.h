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
/// What the backward pass computes again instead of keeping it: nothing, the half with the
/// feed-forward network, or the whole block. The results are the same bits.
enum class Recompute : uint8_t { none, mlp, block };

struct BlockOptions {
  int64_t width = 0;  // C; heads must divide it
  int64_t heads = 1;
  bool causal = true;  // a position sees itself and those before it
  double dropout = 0.0;
  bool bias = false;  // of linear layers and layer norms
  Norm norm = Norm::pre;
  Activation activation = Activation::gelu;
  Recompute recompute = Recompute::none;
  Init residual_init = Init::normal(0.02);  // of the projections into the residual stream
};

/// The stream between blocks, with the last sub-layer's output not yet added: the next norm adds it
/// in the same pass over memory that it makes anyway.
struct ResidualStream {
  Variable stream;                   // (B, T, C)
  Variable update;                   // (B, T, C), or empty: nothing is pending
  const Dropout* dropout = nullptr;  // of the update

  /// Adds what is pending and normalises the sum, which becomes the stream.
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
  Recompute again;  // what the backward pass computes again

  Block(const Scope& scope, const BlockOptions& options);

  /// Pre-norm (GPT-2): x + f(norm(x)) for each sub-layer f. Post-norm (Vaswani): norm(x + f(x)).
  /// key_mask: i32 (B, T), 0 where a position is padding.
  void operator()(Tape& tape, ResidualStream& x,
                  const std::optional<Tensor>& key_mask = std::nullopt) const;
  /// x are positions that follow the cache's and join them.
  void operator()(Tape& tape, ResidualStream& x, const KeyValueCache& cache) const;

 private:
  /// What the attention of a call sees besides x.
  using Seen = std::variant<std::optional<Tensor>, KeyValueCache>;
  void run(Tape& tape, ResidualStream& x, const Seen& seen) const;
  void attention_half(Tape& tape, ResidualStream& x, const Seen& seen) const;
  void feed_forward_half(Tape& tape, ResidualStream& x) const;
};

}  // namespace folio
