// What watches a tape: the black box, the profiler. Without one an op pays a single branch.
#pragma once

#include <span>

#include "folio/autograd/variable.h"

namespace folio {

class TapeObserver {
 public:
  virtual ~TapeObserver() = default;

  /// After an op has computed its outputs, recording or not: what it read (constants too) and what
  /// it made. `op` is the name it is recorded by. The variables are alive for the call only.
  virtual void after_forward(const char* op, std::span<const Variable> inputs,
                             std::span<const Variable> outputs) = 0;

  /// Before an op's closure runs: the slots of its outputs (null where one has none); at least one
  /// of them holds a gradient. The closure of "recompute" computes ops again: after_forward() is
  /// then called for each before after_backward().
  virtual void before_backward(const char* op, std::span<GradSlot* const> outputs) = 0;
  /// After it ran: the same, their gradients still alive, and the slots that it wrote to.
  virtual void after_backward(const char* op, std::span<GradSlot* const> outputs,
                              std::span<GradSlot* const> written) = 0;
};

}  // namespace folio
