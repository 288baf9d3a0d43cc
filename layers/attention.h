// Multi-head attention (Vaswani et al. 2017, section 3.2).
#pragma once

#include <cstdint>
#include <optional>

#include "folio/autograd/ops.h"
#include "folio/layers/dropout.h"
#include "folio/layers/key_value_cache.h"
#include "folio/layers/linear.h"

namespace folio {

struct AttentionLayerOptions {
  int64_t width = 0;  // C; heads must divide it
  int64_t heads = 1;
  bool causal = true;    // of self-attention: a position sees itself and those before it
  double dropout = 0.0;  // of the attention probabilities
  bool bias = false;     // of the linear layers
  Init projection_init = Init::normal(0.02);
};

/// Queries, keys and values come from one sequence.
struct SelfAttention {
  Linear qkv;         // width to 3 width: queries, keys and values side by side
  Linear projection;  // width to width
  Dropout dropout;
  int64_t heads;
  bool causal;

  /// Throws Error unless heads divides width.
  SelfAttention(const Scope& scope, const AttentionLayerOptions& options);

  /// x (B, T, width); result the same shape. key_mask: i32 (B, T), 0 where a position is padding.
  Variable operator()(Tape& tape, const Variable& x,
                      const std::optional<Tensor>& key_mask = std::nullopt) const;
  /// Attention of new positions to those of the cache and to themselves: x (B, T, width) follow the
  /// cache's positions and join them. Causal, and while the tape does not record.
  Variable operator()(Tape& tape, const Variable& x, const KeyValueCache& cache) const;
};

/// Queries come from one sequence, keys and values from another.
struct CrossAttention {
  Linear query;       // width to width
  Linear key_value;   // width to 2 width: keys and values side by side
  Linear projection;  // width to width
  Dropout dropout;
  int64_t heads;

  /// Throws Error unless heads divides width.
  CrossAttention(const Scope& scope, const AttentionLayerOptions& options);

  /// Keys and values of memory (B, Tk, width): (B, Tk, 2 width). A decoder computes them once
  /// and uses them for every query.
  Variable keys_values(Tape& tape, const Variable& memory) const;
  /// x (B, Tq, width) attends to keys_values (B, Tk, 2 width); key_mask i32 (B, Tk), 0 where a
  /// position of the memory is padding. Result (B, Tq, width).
  Variable operator()(Tape& tape, const Variable& x, const Variable& keys_values,
                      const std::optional<Tensor>& key_mask = std::nullopt) const;
};

}  // namespace folio
