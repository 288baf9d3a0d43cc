#include "folio/train/batch_split.h"

#include <algorithm>

#include "folio/tensor/error.h"

namespace folio {

BatchSplit::BatchSplit(int64_t batch, int64_t accumulate, Reduce reduce, int ranks)
    : batch_(batch), accumulate_(accumulate), reduce_(reduce), ranks_(ranks) {
  FOLIO_CHECK(accumulate >= 1 && batch >= 1 && batch % accumulate == 0, "train.accumulate",
              "it is {} and must be a divisor of train.batch, {}", accumulate, batch);
  FOLIO_CHECK(ranks <= batch, "train.batch",
              "{} samples are too few for {} ranks; start fewer ranks", batch, ranks);
  FOLIO_CHECK(reduce == Reduce::fast || ranks <= accumulate, "train.accumulate",
              "{} ranks are too many for {} micro-batches with train.reduce: ordered; raise "
              "train.accumulate, start fewer ranks, or use train.reduce: fast",
              ranks, accumulate);
  rounds_ = reduce == Reduce::fast ? 1 : static_cast<int>((accumulate + ranks - 1) / ranks);
}

int BatchSplit::contributors(int round) const {
  if (reduce_ == Reduce::fast) return ranks_;
  return static_cast<int>(std::min<int64_t>(ranks_, accumulate_ - int64_t{round} * ranks_));
}

Samples BatchSplit::samples(int round, int rank) const {
  if (reduce_ == Reduce::fast) {
    return {batch_ * rank / ranks_, batch_ * (rank + 1) / ranks_};
  }
  const int64_t part = int64_t{round} * ranks_ + rank;
  if (part >= accumulate_) return {batch_, batch_};
  return {part * micro_batch(), (part + 1) * micro_batch()};
}

}  // namespace folio
