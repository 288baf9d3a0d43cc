// The collectives of one process, and of the threads that tests use as ranks.
#include "folio/comm/communicator.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "comm/collectives.h"
#include "folio/comm/gpus.h"
#include "folio/comm/launch.h"
#include "folio/comm/processors.h"
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
  using Told = std::vector<std::pair<std::string, std::string>>;
  const Told free = {{"a", "11111111"}, {"a", "11111111"}, {"b", "11111111"}};
  EXPECT_EQ(processors_for_rank(free, 0), 4);
  EXPECT_EQ(processors_for_rank(free, 2), 8);
  const Told bound = {{"a", "1111"}, {"a", "00001111"}};  // by the launcher, to a half each
  EXPECT_EQ(processors_for_rank(bound, 0), 4);
  EXPECT_EQ(processors_for_rank(bound, 1), 4);
  const Told many = {{"a", "11"}, {"a", "11"}, {"a", "11"}};
  EXPECT_EQ(processors_for_rank(many, 1), 1);
  EXPECT_GE(processors_for_rank(single_process()), 1);
}

TEST(Gpus, AreOneRanksEach) {
  using Told = std::vector<std::pair<std::string, std::string>>;
  const Told good = {{"a", "0000:01:00.0"}, {"a", "0000:02:00.0"}, {"b", "0000:01:00.0"}};
  EXPECT_EQ(ranks_sharing_a_gpu(good), std::nullopt);
  Told bad = good;
  bad.emplace_back("a", "0000:02:00.0");
  EXPECT_EQ(ranks_sharing_a_gpu(bad), (std::pair{1, 3}));
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
