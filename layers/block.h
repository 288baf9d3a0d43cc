// A residual block: attention, then feed-forward, each with a residual connection and a norm.
#pragma once

#include "folio/layers/attention.h"
#include "folio/layers/dropout.h"
#include "folio/layers/feed_forward.h"
#include "folio/layers/gpt_config.h"
#include "folio/layers/layer_norm.h"

namespace folio {

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
  MultiHeadAttention attention;
  Dropout attention_dropout;
  LayerNorm feed_forward_norm;
  FeedForward feed_forward;
  Dropout feed_forward_dropout;
  Norm order;
  Recompute again;  // what the backward pass computes again

  Block(const Scope& scope, const GptConfig& config);

  /// Pre-norm (GPT-2): x + f(norm(x)) for each sub-layer f. Post-norm (Vaswani): norm(x + f(x)).
  /// With a cache, x are positions that follow the cache's.
  void operator()(Tape& tape, ResidualStream& x, const KeyValueCache::Layer* cache = nullptr) const;

 private:
  void attention_half(Tape& tape, ResidualStream& x, const KeyValueCache::Layer* cache) const;
  void feed_forward_half(Tape& tape, ResidualStream& x) const;
};

}  // namespace folio
