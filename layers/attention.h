// Multi-head attention (Vaswani et al. 2017, section 3.2).
#pragma once

#include "folio/autograd/ops.h"
#include "folio/layers/dropout.h"
#include "folio/layers/key_value_cache.h"
#include "folio/layers/linear.h"

namespace folio {

struct MultiHeadAttention {
  Linear qkv;         // width to 3 width: queries, keys and values side by side
  Linear projection;  // width to width
  Dropout dropout;    // of the attention probabilities
  int64_t heads;
  int64_t width;

  /// Throws Error unless heads divides width. `projection_init`: see Gpt.
  MultiHeadAttention(const Scope& scope, int64_t width, int64_t heads, bool bias,
                     double dropout_probability, const Init& projection_init = Init::normal(0.02));

  /// Self-attention: x (B, T, width); result the same shape. key_mask: i32 (B, T), 0 where a
  /// position is padding, or null.
  Variable operator()(Tape& tape, const Variable& x, bool causal,
                      const Tensor* key_mask = nullptr) const;
  /// Queries from x (B, Tq, width), keys and values from memory (B, Tk, width); key_mask (B, Tk).
  Variable operator()(Tape& tape, const Variable& x, const Variable& memory,
                      const Tensor* key_mask = nullptr) const;
  /// Causal self-attention of new positions to those of the cache and to themselves: x (B, T,
  /// width) follow the cache's, and join them. While not recording only.
  Variable operator()(Tape& tape, const Variable& x, const KeyValueCache::Layer& cache) const;
};

}  // namespace folio
