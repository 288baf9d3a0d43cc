// Learning-rate schedules.
#include "folio/optim/schedule.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>

namespace folio {
namespace {

const ScheduleKind kinds[] = {ScheduleKind::constant, ScheduleKind::cosine,
                              ScheduleKind::inverse_square_root};

TEST(Schedule, WarmUpClimbsLinearly) {
  for (ScheduleKind kind : kinds) {
    const Schedule schedule{.kind = kind, .lr = 1.0, .final_lr = 0.1, .warmup = 4, .steps = 20};
    EXPECT_DOUBLE_EQ(schedule(4), 1.0);
    for (int64_t step = 0; step < 4; ++step) {
      EXPECT_DOUBLE_EQ(schedule(step), static_cast<double>(step + 1) / 5.0);
    }
    EXPECT_GT(schedule(4), schedule(3));
  }
}

TEST(Schedule, Constant) {
  const Schedule schedule{.kind = ScheduleKind::constant, .lr = 0.3, .warmup = 2, .steps = 10};
  for (int64_t step : {2, 5, 9, 10, 1000}) EXPECT_EQ(schedule(step), 0.3);
}

TEST(Schedule, CosineFallsFromThePeakToTheEnd) {
  const Schedule schedule{
      .kind = ScheduleKind::cosine, .lr = 1.0, .final_lr = 0.2, .warmup = 10, .steps = 110};
  EXPECT_DOUBLE_EQ(schedule(10), 1.0);
  EXPECT_DOUBLE_EQ(schedule(35), 0.2 + 0.4 * (1.0 + std::sqrt(0.5)));  // a quarter: cos(pi / 4)
  EXPECT_NEAR(schedule(60), 0.6, 1e-15);
  EXPECT_DOUBLE_EQ(schedule(85), 0.2 + 0.4 * (1.0 - std::sqrt(0.5)));
  for (int64_t step = 10; step < 110; ++step) EXPECT_GT(schedule(step), schedule(step + 1));
  EXPECT_EQ(schedule(110), 0.2);
  EXPECT_EQ(schedule(100000), 0.2);
}

TEST(Schedule, InverseSquareRootHalvesAtFourTimesTheWarmUp) {
  const Schedule schedule{
      .kind = ScheduleKind::inverse_square_root, .lr = 1.0, .warmup = 24, .steps = 1000};
  EXPECT_DOUBLE_EQ(schedule(23), 24.0 / 25.0);
  EXPECT_DOUBLE_EQ(schedule(24), 1.0);  // the peak is reached
  EXPECT_DOUBLE_EQ(schedule(99), 0.5);
  EXPECT_DOUBLE_EQ(schedule(399), 0.25);
  EXPECT_DOUBLE_EQ(schedule(2499), 0.1);  // also beyond the end
  for (int64_t step = 24; step < 200; ++step) EXPECT_GT(schedule(step), schedule(step + 1));
}

TEST(Schedule, WithoutWarmUpTheFirstStepHasThePeak) {
  for (ScheduleKind kind : kinds) {
    const Schedule schedule{.kind = kind, .lr = 0.5, .final_lr = 0.1, .warmup = 0, .steps = 10};
    EXPECT_DOUBLE_EQ(schedule(0), 0.5);
  }
  const Schedule root{
      .kind = ScheduleKind::inverse_square_root, .lr = 1.0, .warmup = 0, .steps = 10};
  EXPECT_DOUBLE_EQ(root(3), 0.5);
}

TEST(Schedule, WarmUpAsLongAsTheRun) {
  for (ScheduleKind kind : kinds) {
    const Schedule schedule{.kind = kind, .lr = 1.0, .final_lr = 0.1, .warmup = 5, .steps = 5};
    EXPECT_DOUBLE_EQ(schedule(4), 5.0 / 6.0);
    EXPECT_TRUE(std::isfinite(schedule(5)));
  }
}

}  // namespace
}  // namespace folio
