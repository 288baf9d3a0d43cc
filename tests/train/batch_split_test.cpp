#include "folio/train/batch_split.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <vector>

#include "folio/tensor/error.h"

namespace folio {
namespace {

/// Every sample of every rank and round, round by round in order of rank.
std::vector<int64_t> samples_in_order(const BatchSplit& split, int ranks) {
  std::vector<int64_t> all;
  for (int round = 0; round < split.rounds(); ++round) {
    for (int rank = 0; rank < ranks; ++rank) {
      const Samples samples = split.samples(round, rank);
      EXPECT_EQ(samples.size() > 0, rank < split.contributors(round));
      for (int64_t i = samples.begin; i < samples.end; ++i) all.push_back(i);
    }
  }
  return all;
}

TEST(BatchSplit, EverySampleOnceAndInOrder) {
  for (const Reduce reduce : {Reduce::fast, Reduce::ordered}) {
    for (const int64_t accumulate : {4, 6, 12}) {
      for (int ranks = 1; ranks <= 4; ++ranks) {
        const BatchSplit split(24, accumulate, reduce, ranks);
        const std::vector<int64_t> samples = samples_in_order(split, ranks);
        ASSERT_EQ(samples.size(), 24U);
        for (int64_t i = 0; i < 24; ++i) EXPECT_EQ(samples[static_cast<size_t>(i)], i);
        EXPECT_EQ(split.contributors(0), ranks);
      }
    }
  }
}

TEST(BatchSplit, OrderedKeepsMicroBatches) {
  const BatchSplit split(10, 5, Reduce::ordered, 2);
  EXPECT_EQ(split.rounds(), 3);
  EXPECT_EQ(split.samples(1, 1), (Samples{6, 8}));
  EXPECT_EQ(split.contributors(2), 1);
  EXPECT_EQ(split.samples(2, 1).size(), 0);
}

TEST(BatchSplit, FastIsOneRound) {
  const BatchSplit split(10, 5, Reduce::fast, 3);
  EXPECT_EQ(split.rounds(), 1);
  EXPECT_EQ(split.samples(0, 0), (Samples{0, 3}));
  EXPECT_EQ(split.samples(0, 2), (Samples{6, 10}));
}

TEST(BatchSplit, Refuses) {
  EXPECT_THROW(BatchSplit(10, 3, Reduce::fast, 1), Error);
  EXPECT_THROW(BatchSplit(10, 1, Reduce::fast, 11), Error);
  EXPECT_THROW(BatchSplit(10, 2, Reduce::ordered, 3), Error);
  EXPECT_NO_THROW(BatchSplit(10, 2, Reduce::fast, 10));
}

}  // namespace
}  // namespace folio
