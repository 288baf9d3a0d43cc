// The collectives of one process, and of the threads that tests use as ranks.
#include "folio/comm/communicator.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "comm/collectives.h"
#include "folio/comm/launch.h"
#include "folio/comm/placement.h"
#include "support/thread_ranks.h"

namespace folio {
namespace {

TEST(Parts, CoverEverythingOnce) {
  for (const int64_t count : {0, 1, 5, 100, 16385}) {
    for (const int ranks : {1, 2, 3, 7}) {
      for (const int64_t unit : {1, 16, 1000}) {
        const Parts parts{.count = count, .ranks = ranks, .unit = unit};
        int64_t next = 0;
        for (int r = 0; r < ranks; ++r) {
          const SlabRange part = parts.of(r);
          EXPECT_EQ(part.begin, next);
          EXPECT_TRUE(part.begin % unit == 0 || part.begin == count);
          EXPECT_LE(part.size(), (count / unit / ranks + 2) * unit);
          next = part.end;
        }
        EXPECT_EQ(next, count);
      }
    }
  }
}

TEST(Communicator, OneProcess) { check_everything(single_process()); }

TEST(Communicator, Threads) {
  for (const int count : {2, 3})
    on_ranks(count, [](Communicator& ranks) { check_everything(ranks); });
}

TEST(Processors, AreSharedByThoseWhoMayUseThem) {
  const std::vector<std::string> free = {"11111111", "11111111", "11111111"};
  EXPECT_EQ(processors_for_rank({"a", "a", "b"}, free, 0), 4);
  EXPECT_EQ(processors_for_rank({"a", "a", "b"}, free, 2), 8);
  // The launcher has bound each rank to one half.
  EXPECT_EQ(processors_for_rank({"a", "a"}, {"1111", "00001111"}, 0), 4);
  EXPECT_EQ(processors_for_rank({"a", "a"}, {"1111", "00001111"}, 1), 4);
  EXPECT_EQ(processors_for_rank({"a", "a", "a"}, {"11", "11", "11"}, 1), 1);
  EXPECT_GE(processors_for_rank(single_process()), 1);
}

TEST(Gpus, AreOneRanksEach) {
  std::vector<std::string> gpus = {"01:00.0 of a", "02:00.0 of a", "01:00.0 of b"};
  EXPECT_EQ(first_duplicate(gpus), std::nullopt);
  gpus.emplace_back("02:00.0 of a");
  EXPECT_EQ(first_duplicate(gpus), (std::pair<size_t, size_t>{1, 3}));
}

/// The environment without any launcher's variables but those given.
class Launcher : public ::testing::Test {
 protected:
  Launcher() {
    for (const char* name : names_) ::unsetenv(name);
  }
  ~Launcher() override {
    for (const char* name : names_) ::unsetenv(name);
  }
  static constexpr const char* names_[] = {
      "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK", "PMI_SIZE",    "PMI_RANK", "PMIX_RANK",
      "SLURM_STEP_NUM_TASKS", "SLURM_PROCID",         "SLURM_NTASKS"};
};

TEST_F(Launcher, IsFoundInTheEnvironment) {
  EXPECT_EQ(launch().size, 1);
  EXPECT_EQ(launch().launcher, "");
  ::setenv("SLURM_NTASKS", "8", 1);  // in a batch script, before any srun
  ::setenv("SLURM_PROCID", "0", 1);
  EXPECT_EQ(launch().size, 1);
  ::setenv("SLURM_STEP_NUM_TASKS", "8", 1);
  ::setenv("SLURM_PROCID", "5", 1);
  EXPECT_EQ(launch().size, 8);
  EXPECT_EQ(launch().rank, 5);
  EXPECT_EQ(launch().launcher, "srun");
  EXPECT_FALSE(launch().joinable);
  ::setenv("PMIX_RANK", "5", 1);
  EXPECT_TRUE(launch().joinable);
}

TEST_F(Launcher, OfOpenMpi) {
  ::setenv("OMPI_COMM_WORLD_SIZE", "4", 1);
  ::setenv("OMPI_COMM_WORLD_RANK", "3", 1);
  EXPECT_EQ(launch().size, 4);
  EXPECT_EQ(launch().rank, 3);
  EXPECT_EQ(launch().launcher, "mpirun");
  EXPECT_TRUE(launch().joinable);
  ::setenv("OMPI_COMM_WORLD_SIZE", "four", 1);
  EXPECT_EQ(launch().size, 1);
}

}  // namespace
}  // namespace folio
