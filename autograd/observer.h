// The interface of objects that observe a tape, such as the black box and the profiler. Without an
// observer, an op pays for a single branch.
#pragma once

#include <cstdint>
#include <span>

#include "folio/autograd/variable.h"

namespace folio {

/// A description of an attention op. For head h, queries are columns [first_query_column + h
/// head_dim, first_query_column + (h + 1) head_dim) of `queries` (B, Tq, ...), and keys likewise.
struct ObservedAttention {
  const Tensor& queries;
  int64_t first_query_column;
  const Tensor& keys;
  int64_t first_key_column;
  int64_t heads, head_dim;
  bool causal;  // query i sees keys 0 .. i + Tk - Tq
  double scale;
  const Tensor& key_mask;  // i32 (B, Tk), 0 where a key is not seen; or empty
};

/// Each call does nothing unless it is overridden.
class TapeObserver {
 public:
  virtual ~TapeObserver() = default;

  /// Called after an op has computed its outputs, whether or not the tape records. `inputs`
  /// includes constants; `op` is the name of the op. The variables are valid during the call only.
  virtual void after_forward(const char* /*op*/, std::span<const Variable> /*inputs*/,
                             std::span<const Variable> /*outputs*/) {}
  /// Called before the after_forward() of an attention op.
  virtual void attention(const ObservedAttention&) {}

  /// Called before an op's closure runs, with the slots of its outputs (null for an output without
  /// one), of which at least one holds a gradient. The closure of "recompute" computes ops again:
  /// after_forward() is then called for each before after_backward().
  virtual void before_backward(const char* /*op*/, std::span<GradSlot* const> /*outputs*/) {}
  /// Called after the closure has run, with the same slots, whose gradients are still valid, and
  /// the slots that it wrote to.
  virtual void after_backward(const char* /*op*/, std::span<GradSlot* const> /*outputs*/,
                              std::span<GradSlot* const> /*written*/) {}
};

}  // namespace folio
