// Assigns the samples of a step's batch to ranks and rounds.
#pragma once

#include <cstdint>

#include "folio/run/config.h"

namespace folio {

/// Samples [begin, end) of a batch.
struct Samples {
  int64_t begin = 0, end = 0;
  int64_t size() const { return end - begin; }
  bool operator==(const Samples&) const = default;
};

/// Divides a batch of B samples into rounds, each of which ends with a sum over N ranks.
///
/// fast: there is one round, in which rank r has samples [r B / N, (r + 1) B / N).
/// ordered: rank m mod N computes micro-batch m in round m / N, so that gradients are added in the
/// order of the micro-batches.
class BatchSplit {
 public:
  /// Throws Error if there are more ranks than samples or, for `ordered`, than micro-batches.
  BatchSplit(int64_t batch, int64_t accumulate, Reduce reduce, int ranks);

  int rounds() const { return rounds_; }
  /// Ranks 0 .. contributors - 1 have samples in the round. In the first round all ranks have.
  int contributors(int round) const;
  /// The samples of a rank in a round; none if it does not contribute.
  Samples samples(int round, int rank) const;
  /// The largest number of samples that a rank computes at a time: batch / accumulate.
  int64_t micro_batch() const { return batch_ / accumulate_; }

 private:
  int64_t batch_, accumulate_;
  Reduce reduce_;
  int ranks_, rounds_;
};

}  // namespace folio
