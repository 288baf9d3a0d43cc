#include "folio/tensor/random.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <set>
#include <vector>

namespace folio {
namespace {

using Words = std::array<uint32_t, 4>;

// The known answers of Random123's kat_vectors.
TEST(Philox, KnownAnswers) {
  EXPECT_EQ(philox4x32({0, 0, 0, 0}, {0, 0}),
            (Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  constexpr uint32_t ones = 0xffffffff;
  EXPECT_EQ(philox4x32({ones, ones, ones, ones}, {ones, ones}),
            (Words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(philox4x32({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
            (Words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(Philox, RunsAtCompileTime) {
  static_assert(philox4x32({0, 0, 0, 0}, {0, 0})[0] == 0x6627e8d5);
  static_assert(purpose_of("") == 2166136261u);
  static_assert(purpose_of("a") == 0xe40c292cu);  // FNV-1a's published vector
}

TEST(RandomStream, BitsAreTheBlocksInOrder) {
  const RandomStream stream{1234567890123ull, purpose_of("blocks.3.dropout"), 42};
  const uint64_t high = uint64_t{1} << 40;
  for (const uint64_t block : {uint64_t{0}, uint64_t{1}, uint64_t{1000}, high}) {
    const Words words = stream.block(block);
    for (uint64_t i = 0; i < 4; ++i) EXPECT_EQ(stream.bits(4 * block + i), words[i]);
  }
  EXPECT_NE(stream.block(0), stream.block(uint64_t{1} << 32));
}

TEST(RandomStream, SeedPurposeAndStepEachMakeAnotherStream) {
  const RandomStream base{1, 2, 3};
  std::set<uint32_t> firsts;
  for (const RandomStream& stream :
       {base, RandomStream{2, 2, 3}, RandomStream{1 + (uint64_t{1} << 32), 2, 3},
        RandomStream{1, 3, 3}, RandomStream{1, 2, 4}}) {
    firsts.insert(stream.bits(0));
  }
  EXPECT_EQ(firsts.size(), 5u);
}

TEST(RandomStream, UniformHasTheRangeMeanAndVariance) {
  const RandomStream stream{7, purpose_of("uniform"), 0};
  const int count = 100000;
  double sum = 0.0, squares = 0.0, least = 1.0, most = 0.0;
  for (int i = 0; i < count; ++i) {
    const double u = stream.uniform(i);
    ASSERT_GE(u, 0.0);
    ASSERT_LT(u, 1.0);
    sum += u;
    squares += u * u;
    least = std::min(least, u);
    most = std::max(most, u);
  }
  const double mean = sum / count;
  EXPECT_NEAR(mean, 0.5, 5 * std::sqrt(1.0 / 12.0 / count));
  EXPECT_NEAR(squares / count - mean * mean, 1.0 / 12.0, 0.002);
  EXPECT_LT(least, 1e-4);
  EXPECT_GT(most, 1.0 - 1e-4);
}

TEST(RandomStream, NormalHasTheMoments) {
  const RandomStream stream{8, purpose_of("normal"), 0};
  const int count = 100000;
  double moments[5] = {}, neighbours = 0.0;
  for (int i = 0; i < count; ++i) {
    const double x = stream.normal(i);
    ASSERT_TRUE(std::isfinite(x));
    double power = 1.0;
    for (double& moment : moments) {
      moment += power / count;
      power *= x;
    }
    if (i % 2 == 1) neighbours += x * stream.normal(i - 1) / (count / 2);
  }
  EXPECT_NEAR(moments[1], 0.0, 0.016);
  EXPECT_NEAR(moments[2], 1.0, 0.025);
  EXPECT_NEAR(moments[3], 0.0, 0.07);
  EXPECT_NEAR(moments[4], 3.0, 0.16);
  EXPECT_NEAR(neighbours, 0.0, 0.025);  // the two that share a pair of uniforms
}

TEST(RandomStream, BelowStaysBelowAndReachesEverything) {
  const RandomStream stream{9, purpose_of("below"), 0};
  for (const uint64_t limit : {1ull, 2ull, 7ull, 65ull}) {
    std::vector<int> counts(limit);
    const int draws = 10000;
    for (int i = 0; i < draws; ++i) {
      const uint64_t value = stream.below(limit, i);
      ASSERT_LT(value, limit);
      ++counts[value];
    }
    const double expected = static_cast<double>(draws) / static_cast<double>(limit);
    for (const int n : counts) EXPECT_NEAR(n, expected, 6 * std::sqrt(expected) + 1e-9);
  }
  EXPECT_LT(stream.below(~uint64_t{0}, 5), ~uint64_t{0});
}

TEST(DropoutMask, ThresholdAndScale) {
  DropoutMask mask;
  EXPECT_EQ(mask.threshold(), 0u);
  EXPECT_EQ(mask.scale(), 1.0);
  mask.probability = 0.5;
  EXPECT_EQ(mask.threshold(), 0x80000000u);
  EXPECT_EQ(mask.scale(), 2.0);
}

}  // namespace
}  // namespace folio
