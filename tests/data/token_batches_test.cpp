#include "folio/data/token_batches.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <set>
#include <vector>

#include "support/temporary.h"

namespace folio {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// Tokens that tell their position.
std::vector<int32_t> positions(int64_t count) {
  std::vector<int32_t> tokens(static_cast<size_t>(count));
  std::iota(tokens.begin(), tokens.end(), 0);
  return tokens;
}

class EverySampling : public testing::TestWithParam<Sampling> {};
INSTANTIATE_TEST_SUITE_P(, EverySampling, testing::Values(Sampling::random, Sampling::shuffled),
                         [](const auto& info) {
                           return info.param == Sampling::random ? "random" : "shuffled";
                         });

TEST_P(EverySampling, RowsAreWindowsAndTargetsFollowInputs) {
  const std::vector<int32_t> tokens = positions(100);
  const BatchSampler sampler(tokens, 4, 7, GetParam(), 1);
  for (int64_t step = 0; step < 20; ++step) {
    const Batch batch = sampler.draw(step, 0, 4);
    ASSERT_EQ(batch["tokens"].shape(), Shape({4, 7}));
    ASSERT_EQ(batch["targets"].shape(), Shape({4, 7}));
    for (int64_t b = 0; b < 4; ++b) {
      const int64_t offset = sampler.offset_of(step * 4 + b);
      for (int64_t t = 0; t < 7; ++t) {
        EXPECT_EQ(batch["tokens"].data<int32_t>()[b * 7 + t], offset + t);
        EXPECT_EQ(batch["targets"].data<int32_t>()[b * 7 + t], offset + t + 1);
      }
    }
  }
}

TEST_P(EverySampling, PartsOfABatchAreSlicesOfTheWhole) {
  const std::vector<int32_t> tokens = positions(1000);
  const BatchSampler sampler(tokens, 12, 5, GetParam(), 3);
  const auto whole = sampler.draw(9, 0, 12)["tokens"].to_vector<int32_t>();
  for (int64_t first = 0; first < 12; ++first) {
    for (int64_t count = 1; count <= 12 - first; ++count) {
      const auto part = sampler.draw(9, first, count)["tokens"].to_vector<int32_t>();
      EXPECT_TRUE(std::equal(part.begin(), part.end(), whole.begin() + first * 5));
    }
  }
}

TEST_P(EverySampling, TheSeedDecides) {
  const std::vector<int32_t> tokens = positions(100'000);
  const auto offsets = [&](uint64_t seed) {
    const BatchSampler sampler(tokens, 1, 8, GetParam(), seed);
    std::vector<int64_t> result;
    for (int64_t i = 0; i < 50; ++i) result.push_back(sampler.offset_of(i));
    return result;
  };
  EXPECT_EQ(offsets(1), offsets(1));
  EXPECT_NE(offsets(1), offsets(2));
  EXPECT_NE(offsets(1), offsets(1 + (uint64_t{1} << 32)));
}

TEST_P(EverySampling, OneWindowIsEnough) {
  const std::vector<int32_t> tokens = positions(5);
  const BatchSampler sampler(tokens, 3, 4, GetParam(), 1);
  EXPECT_THAT(sampler.draw(123, 2, 1)["tokens"].to_vector<int32_t>(), ElementsAre(0, 1, 2, 3));
  EXPECT_THAT(sampler.draw(123, 2, 1)["targets"].to_vector<int32_t>(), ElementsAre(1, 2, 3, 4));
}

TEST_P(EverySampling, BadArgumentsAreRefused) {
  const std::vector<int32_t> tokens = positions(100);
  EXPECT_EQ(error_of([&] { BatchSampler(tokens, 4, 100, GetParam(), 1); }),
            "batch sampler: there are 100 tokens, but context 100 needs at least 101; use a longer "
            "text or a smaller context");
  EXPECT_THAT(error_of([&] { BatchSampler(tokens, 0, 4, GetParam(), 1); }),
              HasSubstr("at least 1"));
  EXPECT_THAT(error_of([&] { BatchSampler(tokens, 4, 0, GetParam(), 1); }),
              HasSubstr("at least 1"));
  const BatchSampler sampler(tokens, 4, 4, GetParam(), 1);
  const auto draw_error = [&](int64_t step, int64_t first, int64_t count) {
    return error_of([&] { sampler.draw(step, first, count); });
  };
  EXPECT_EQ(draw_error(3, 2, 3),
            "batch sampler: 3 samples from sample 2 of step 3 on were asked "
            "for; a batch has samples 0 to 3");
  draw_error(-1, 0, 4);
  draw_error(0, -1, 2);
  draw_error(0, 0, 0);
  draw_error(0, 4, 1);
  draw_error(0, INT64_MAX, INT64_MAX);
  error_of([&] { sampler.offset_of(-1); });
}

TEST(RandomSampling, OffsetsReachBothEndsUniformly) {
  const std::vector<int32_t> tokens = positions(50);
  const BatchSampler sampler(tokens, 1, 10, Sampling::random, 7);
  std::vector<int> histogram(40);  // nanoGPT's randint(len - T): offsets 0 to 39
  constexpr int draws = 40'000;
  for (int64_t i = 0; i < draws; ++i) {
    const int64_t offset = sampler.offset_of(i);
    ASSERT_GE(offset, 0);
    ASSERT_LT(offset, 40);
    ++histogram[static_cast<size_t>(offset)];
  }
  double chi_squared = 0.0;
  for (int count : histogram) chi_squared += (count - 1000.0) * (count - 1000.0) / 1000.0;
  EXPECT_LT(chi_squared, 72.1);  // 39 degrees of freedom: the 0.1% point
  EXPECT_GT(chi_squared, 15.7);  // too even: the 0.03% point
}

TEST(ShuffledSampling, AnEpochVisitsEachWindowOnce) {
  for (int64_t windows : {1, 2, 3, 4, 5, 16, 17, 63, 64, 65, 1000, 4097}) {
    const std::vector<int32_t> tokens = positions(windows * 3 + 2);  // one token is left over
    const BatchSampler sampler(tokens, 1, 3, Sampling::shuffled, 11);
    ASSERT_EQ(sampler.windows(), windows);
    for (int64_t epoch : {0, 1, 5}) {
      std::set<int64_t> offsets;
      for (int64_t i = 0; i < windows; ++i) {
        const int64_t offset = sampler.offset_of(epoch * windows + i);
        EXPECT_EQ(offset % 3, 0);
        EXPECT_GE(offset, 0);
        EXPECT_LT(offset, windows * 3);
        offsets.insert(offset);
      }
      EXPECT_EQ(std::ssize(offsets), windows) << windows << " windows, epoch " << epoch;
    }
  }
}

TEST(ShuffledSampling, EpochsDifferAndAreNotInOrder) {
  const std::vector<int32_t> tokens = positions(301);
  const BatchSampler sampler(tokens, 1, 3, Sampling::shuffled, 11);
  std::vector<int64_t> first, second;
  int64_t ascents = 0;
  for (int64_t i = 0; i < 100; ++i) {
    first.push_back(sampler.offset_of(i));
    second.push_back(sampler.offset_of(100 + i));
    if (i > 0 && first[static_cast<size_t>(i)] > first[static_cast<size_t>(i - 1)]) ++ascents;
  }
  EXPECT_NE(first, second);
  EXPECT_GT(ascents, 30);
  EXPECT_LT(ascents, 70);
}

TEST(ShuffledSampling, EveryWindowComesFirstInSomeEpoch) {
  const std::vector<int32_t> tokens = positions(6);
  std::vector<int> histogram(5);
  const BatchSampler sampler(tokens, 1, 1, Sampling::shuffled, 2);
  for (int64_t epoch = 0; epoch < 5000; ++epoch) {
    ++histogram[static_cast<size_t>(sampler.offset_of(epoch * 5))];
  }
  for (int count : histogram) EXPECT_NEAR(count, 1000, 150);
}

TEST_P(EverySampling, ASourceDrawsAsTheSampler) {
  const std::vector<int32_t> tokens = positions(100);
  const BatchSampler sampler(tokens, 4, 7, GetParam(), 9);
  const Windows windows(tokens, 7);
  const TokenSource source(tokens, 4, 7, GetParam(), 9);
  const auto same = [](const Batch& a, const Batch& b) {
    for (const char* name : {"tokens", "targets"}) {
      EXPECT_EQ(a[name].shape(), b[name].shape());
      EXPECT_EQ(a[name].to_vector<int32_t>(), b[name].to_vector<int32_t>());
    }
  };
  for (int64_t step : {0, 1, 30}) same(source.draw(step, 1, 3), sampler.draw(step, 1, 3));
  ASSERT_EQ(source.windows(), windows.count());
  for (int64_t first : {0, 8, 14}) same(source.window(first, 4), windows.batch(first, 4));
}

TEST(Windows, CoverASplitOnce) {
  for (int64_t count : {2, 3, 4, 5, 9, 10, 11, 100}) {
    const std::vector<int32_t> tokens = positions(count);
    const Windows windows(tokens, 4);
    EXPECT_EQ(windows.predicted_tokens(), count - 1);
    int32_t next = 1;
    int64_t rows = 0;
    for (int64_t first = 0; first < windows.count(); first += 2) {
      const Batch batch = windows.batch(first, 2);
      rows += batch["tokens"].dim(0);
      for (int64_t i = 0; i < batch["targets"].numel(); ++i) {
        const int32_t input = batch["tokens"].data<int32_t>()[i];
        const int32_t target = batch["targets"].data<int32_t>()[i];
        if (target == ignored_target) {
          EXPECT_EQ(input, 0);
          continue;
        }
        EXPECT_EQ(target, next++);
        EXPECT_EQ(input, target - 1);
      }
    }
    EXPECT_EQ(next, count);
    EXPECT_EQ(rows, windows.count());
  }
}

TEST(Windows, TheLastOneMayBeShort) {
  const std::vector<int32_t> tokens = positions(7);
  const Windows windows(tokens, 4);
  ASSERT_EQ(windows.count(), 2);
  const Batch batch = windows.batch(1, 10);
  EXPECT_EQ(batch["tokens"].shape(), Shape({1, 4}));
  EXPECT_THAT(batch["tokens"].to_vector<int32_t>(), ElementsAre(4, 5, 0, 0));
  EXPECT_THAT(batch["targets"].to_vector<int32_t>(), ElementsAre(5, 6, -1, -1));
}

TEST(Windows, NothingToPredict) {
  for (int64_t count : {0, 1}) {
    const std::vector<int32_t> tokens = positions(count);
    const Windows windows(tokens, 4);
    EXPECT_EQ(windows.count(), 0);
    EXPECT_EQ(windows.predicted_tokens(), 0);
    error_of([&] { windows.batch(0, 1); });
  }
}

TEST(Windows, BadArgumentsAreRefused) {
  const std::vector<int32_t> tokens = positions(9);
  EXPECT_EQ(error_of([&] { Windows(tokens, 0); }), "windows: context is 0; it must be at least 1");
  const Windows windows(tokens, 4);
  EXPECT_EQ(error_of([&] { windows.batch(2, 1); }),
            "windows: 1 windows from window 2 on were asked for; there are windows 0 to 1");
  error_of([&] { windows.batch(-1, 1); });
  error_of([&] { windows.batch(0, 0); });
}

}  // namespace
}  // namespace folio
