// Which samples of a step's batch each rank computes, and when.
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

/// A batch's samples in rounds, each of which ends with a sum over ranks.
///
/// fast: one round; rank r has samples [r B / N, (r + 1) B / N).
/// ordered: micro-batch m is computed in round m / N by rank m mod N, so that the sum goes through
/// them in order.
class BatchSplit {
 public:
  /// Throws Error for more ranks than the batch has samples or, ordered, micro-batches.
  BatchSplit(int64_t batch, int64_t accumulate, Reduce reduce, int ranks);

  int rounds() const { return rounds_; }
  /// Ranks 0 .. contributors - 1 have samples in the round; in the first round, all.
  int contributors(int round) const;
  /// Samples of the batch; none where the rank does not contribute.
  Samples samples(int round, int rank) const;
  /// The most samples that a rank computes at a time: batch / accumulate.
  int64_t micro_batch() const { return batch_ / accumulate_; }

 private:
  int64_t batch_, accumulate_;
  Reduce reduce_;
  int ranks_, rounds_;
};

}  // namespace folio
