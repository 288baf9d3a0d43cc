// What watches a tape: the black box, the profiler. Without one an op pays a single branch.
#pragma once

#include <cstdint>
#include <span>

#include "folio/autograd/variable.h"

namespace folio {

/// What an attention op says of itself. Queries are the columns [first_query_column + h head_dim,
/// ... + head_dim) of `queries` (B, Tq, ...) for head h, and keys likewise.
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

  /// After an op has computed its outputs, recording or not: what it read (constants too) and what
  /// it made. `op` is the name it is recorded by. The variables are alive for the call only.
  virtual void after_forward(const char* /*op*/, std::span<const Variable> /*inputs*/,
                             std::span<const Variable> /*outputs*/) {}
  /// Before the after_forward() of an attention op.
  virtual void attention(const ObservedAttention&) {}

  /// Before an op's closure runs: the slots of its outputs (null where one has none); at least one
  /// of them holds a gradient. The closure of "recompute" computes ops again: after_forward() is
  /// then called for each before after_backward().
  virtual void before_backward(const char* /*op*/, std::span<GradSlot* const> /*outputs*/) {}
  /// After it ran: the same, their gradients still alive, and the slots that it wrote to.
  virtual void after_backward(const char* /*op*/, std::span<GradSlot* const> /*outputs*/,
                              std::span<GradSlot* const> /*written*/) {}
};

}  // namespace folio
