// What tasks share whose targets are tokens.
#pragma once

#include <cstdint>

#include "folio/autograd/tape.h"
#include "folio/tasks/task.h"

namespace folio {

/// The targets, i32 on the CPU, that are not ignored_target.
int64_t count_targets(const Tensor& targets);

/// "tokens" and "targets", i32 (samples, context), all 0.
Batch blank_token_batch(int64_t samples, int64_t context);

/// Adds loss and number of targets of logits (..., V) to `totals`.
void add_token_totals(Tape& tape, Variable logits, const Tensor& targets, Totals& totals);

}  // namespace folio
