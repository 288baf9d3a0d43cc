#include "folio/train/spike_guard.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

namespace folio {
namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();

/// A full window with mean 5 and standard deviation 2.
SpikeGuard full_guard(double threshold = 3.0) {
  SpikeGuard guard(threshold, 8);
  for (double norm : {2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0}) guard.accept(norm);
  return guard;
}

TEST(SpikeGuard, MeasuresInStandardDeviationsOfTheWindow) {
  const SpikeGuard guard = full_guard();
  EXPECT_DOUBLE_EQ(guard.z_score(5.0), 0.0);
  EXPECT_DOUBLE_EQ(guard.z_score(11.0), 3.0);
  EXPECT_DOUBLE_EQ(guard.z_score(1.0), -2.0);
  EXPECT_FALSE(guard.is_spike(11.0));  // not above
  EXPECT_TRUE(guard.is_spike(11.001));
  EXPECT_FALSE(guard.is_spike(0.0));  // small norms harm nobody
}

TEST(SpikeGuard, ANanZScoreIsASpike) {
  EXPECT_TRUE(full_guard().is_spike(nan));
  EXPECT_TRUE(full_guard().is_spike(std::numeric_limits<double>::infinity()));
  SpikeGuard constant(3.0, 2);
  constant.accept(1.5);
  constant.accept(1.5);
  EXPECT_TRUE(std::isnan(constant.z_score(1.5)));
  EXPECT_TRUE(constant.is_spike(1.5));
  EXPECT_TRUE(constant.is_spike(1.6));
  EXPECT_FALSE(constant.is_spike(1.4));
}

TEST(SpikeGuard, WaitsForAFullWindow) {
  SpikeGuard guard(1.0, 3);
  for (double norm : {1.0, 2.0}) guard.accept(norm);
  EXPECT_FALSE(guard.is_spike(1e9));
  EXPECT_FALSE(guard.is_spike(nan));
  guard.accept(1.0);
  EXPECT_TRUE(guard.is_spike(1e9));
}

TEST(SpikeGuard, LooksBackOnTheWindowAlone) {
  SpikeGuard guard(3.0, 4);
  for (double norm : {900.0, 1.0, 2.0, 3.0, 4.0}) guard.accept(norm);
  EXPECT_EQ(guard.norms(), (std::vector<double>{1.0, 2.0, 3.0, 4.0}));
  EXPECT_TRUE(guard.is_spike(900.0));
}

TEST(SpikeGuard, ASequenceWithASpike) {
  SpikeGuard guard(6.0, 20);
  std::vector<int> spikes;
  for (int step = 0; step < 200; ++step) {
    // Falls slowly and wobbles; steps 10 (before the window is full), 90 and 150 stand out.
    double norm = 2.0 - 0.005 * step + 0.1 * std::sin(step);
    if (step == 10 || step == 90 || step == 150) norm += 2.0;
    if (guard.is_spike(norm)) {
      spikes.push_back(step);
    } else {
      guard.accept(norm);
    }
  }
  EXPECT_EQ(spikes, (std::vector<int>{90, 150}));
}

TEST(SpikeGuard, IsOffAtThresholdZero) {
  SpikeGuard guard = full_guard(0.0);
  EXPECT_TRUE(guard.norms().empty());
  EXPECT_FALSE(guard.is_spike(1e30));
  guard.set_norms({1.0, 2.0});
  EXPECT_TRUE(guard.norms().empty());
}

TEST(SpikeGuard, ContinuesFromItsNorms) {
  SpikeGuard guard(3.0, 8), smaller(3.0, 2);
  guard.set_norms(full_guard().norms());
  for (double norm : {0.1, 5.3, 1e3}) EXPECT_EQ(guard.z_score(norm), full_guard().z_score(norm));
  smaller.set_norms({1.0, 2.0, 3.0});
  EXPECT_EQ(smaller.norms(), (std::vector<double>{2.0, 3.0}));
}

}  // namespace
}  // namespace folio
