// The base of tasks whose targets are tokens.
#pragma once

#include <cstdint>

#include "folio/data/token_span.h"
#include "folio/tasks/task.h"

namespace folio {

/// Batches have "tokens" and "targets", i32 (B, T); targets that are ignored_target do not count.
/// The model gives logits, (B, T, V), and the loss is their cross-entropy.
class TokenTask : public Task {
 public:
  using Task::Task;

  int64_t targets(const Batch& batch) const override;
  /// All tokens and targets are 0.
  Batch blank(int64_t samples) const override;
  Variable loss(Tape& tape, const Model& model, const Batch& batch,
                int64_t targets_of_step) const override;
  void measure(Tape& tape, const Model& model, const Batch& batch, Totals& totals) const override;

 protected:
  /// The tokens of a split of the corpus.
  TokenSpan tokens_of(Split split) const;
};

}  // namespace folio
