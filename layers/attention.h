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
  bool causal = true;    // self-attention only: a position attends to itself and earlier ones
  double dropout = 0.0;  // of the attention probabilities
  bool bias = false;     // of the linear layers
  Init projection_init = Init::normal(0.02);
};

/// Attention of a sequence to itself.
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
  /// Causal attention with a cache, while the tape does not record: the positions of x (B, T,
  /// width) follow those of the cache, to which they are added.
  Variable operator()(Tape& tape, const Variable& x, const KeyValueCache& cache) const;
};

/// Attention of one sequence to another, the memory.
struct CrossAttention {
  Linear query;       // width to width
  Linear key_value;   // width to 2 width: keys and values side by side
  Linear projection;  // width to width
  Dropout dropout;
  int64_t heads;

  /// Throws Error unless heads divides width.
  CrossAttention(const Scope& scope, const AttentionLayerOptions& options);

  /// Keys and values (B, Tk, 2 width) of memory (B, Tk, width). A decoder computes them once for
  /// all its queries.
  Variable keys_values(Tape& tape, const Variable& memory) const;
  /// x (B, Tq, width) attends to keys_values (B, Tk, 2 width); key_mask i32 (B, Tk), 0 where a
  /// position of the memory is padding. Result (B, Tq, width).
  Variable operator()(Tape& tape, const Variable& x, const Variable& keys_values,
                      const std::optional<Tensor>& key_mask = std::nullopt) const;
};

}  // namespace folio
