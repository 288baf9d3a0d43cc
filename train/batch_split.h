// Divides a batch into rounds and among ranks.
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

/// Divides the B samples of a batch among N ranks, in rounds that each end with a sum over ranks.
///
/// fast: one round; rank r has samples [r B / N, (r + 1) B / N).
/// ordered: rank m mod N computes micro-batch m in round m / N, so that micro-batches are summed in
/// order.
class BatchSplit {
 public:
  /// Throws Error if there are more ranks than samples or, if ordered, than micro-batches.
  BatchSplit(int64_t batch, int64_t accumulate, Reduce reduce, int ranks);

  int rounds() const { return rounds_; }
  /// Ranks 0 .. contributors - 1 have samples in the round. In the first round, all ranks have.
  int contributors(int round) const;
  /// The samples of a rank, none if it does not contribute.
  Samples samples(int round, int rank) const;
  /// The maximum number of samples that a rank computes at a time: batch / accumulate.
  int64_t micro_batch() const { return batch_ / accumulate_; }

 private:
  int64_t batch_, accumulate_;
  Reduce reduce_;
  int ranks_, rounds_;
};

}  // namespace folio
