// A rank of tests that need processes; tests/comm/CMakeLists.txt starts it with mpirun.
//
//   mpi_ranks collectives [cuda]                 every collective against a serial reference
//   mpi_ranks gpus                               how many GPUs there are
//   mpi_ranks doubles                            what NCCL's double refuses (nccl_double.cpp)
//   mpi_ranks train CONFIG RUN [RANK KIND STEP]  folio train; in STEP's backward pass, rank RANK
//                                                throws | dies | hangs
#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <string>
#include <utility>

#include "comm/collectives.h"
#include "folio/comm/launch.h"
#include "folio/inspect/run_hooks.h"
#include "folio/io/output.h"
#include "folio/tensor/cuda.h"
#include "folio/tensor/error.h"

namespace folio {
namespace {

/// Passes everything on; in the backward pass of a step, its rank fails.
class Failing : public Communicator {
 public:
  Failing(Communicator& ranks, std::string kind, int64_t step)
      : ranks_(ranks), kind_(std::move(kind)), step_(step) {}

  int rank() const override { return ranks_.rank(); }
  int size() const override { return ranks_.size(); }
  std::string describe() const override { return ranks_.describe(); }
  bool supports(Device device) const override { return ranks_.supports(device); }
  Pending start_reduce_scatter(GradTarget sum, const Tensor& x, const Parts& parts,
                               int contributors) override {
    // Of many buckets the first is started by a closure of the backward pass.
    if (now_ == step_) {
      if (kind_ == "throws") fail("test", "this rank throws");
      if (kind_ == "dies") std::raise(SIGKILL);
      if (kind_ == "hangs") {
        for (;;) ::pause();
      }
    }
    return ranks_.start_reduce_scatter(sum, x, parts, contributors);
  }
  Pending start_all_gather(const Tensor& x, const Parts& parts) override {
    return ranks_.start_all_gather(x, parts);
  }
  void broadcast(const Tensor& x, int root) override { ranks_.broadcast(x, root); }
  void barrier() override { ranks_.barrier(); }
  void synchronize() override { ranks_.synchronize(); }
  void set_timeout(double seconds, const std::string& setting) override {
    ranks_.set_timeout(seconds, setting);
  }
  void set_step(int64_t step) override { ranks_.set_step(now_ = step); }
  [[noreturn]] void abort(int exit_code) override {
    ranks_.abort(exit_code);
    std::_Exit(exit_code);
  }
  void finish() override { ranks_.finish(); }

 private:
  Communicator& ranks_;
  std::string kind_;
  int64_t step_, now_ = 0;
};

Device tested_device = Device::cpu;

int run_tests(int argc, char** argv) {
  if (argc > 2 && std::string(argv[2]) == "cuda") tested_device = Device::cuda;
  Communicator& ranks = join_ranks();
  ranks.set_timeout(60.0, "the limit of the tests");
  if (tested_device == Device::cuda && cuda::devices() < ranks.size()) {
    if (ranks.is_root()) std::puts("too few GPUs");
    return leave_ranks();
  }
  ::testing::InitGoogleTest(&argc, argv);
  const bool doubles = std::string(argv[1]) == "doubles";
  GTEST_FLAG_SET(filter, doubles ? "NcclDouble*" : "MpiRanks*");
  if (!ranks.is_root()) GTEST_FLAG_SET(brief, true);
  const int exit_code = RUN_ALL_TESTS();
  return leave_ranks(exit_code == 0 ? "" : "see above", exit_code);
}

TEST(MpiRanks, EveryCollective) { check_everything(join_ranks(), tested_device); }

int train_and_fail(int argc, char** argv) {
  try {
    Communicator& ranks = join_ranks();
    if (!ranks.is_root()) silence_output();
    const bool fails = argc > 6 && std::stoi(argv[4]) == ranks.rank();
    Failing failing(ranks, fails ? argv[5] : "", fails ? std::stoll(argv[6]) : -1);
    train({.config = argv[2], .run = argv[3]}, inspecting_hooks(), failing);
    return leave_ranks();
  } catch (const std::exception& error) {
    return leave_ranks(error.what(), 1);
  }
}

}  // namespace
}  // namespace folio

int main(int argc, char** argv) {
  if (argc < 2) return 2;
  if (std::string(argv[1]) == "gpus") {
    std::printf("%d\n", folio::cuda::devices());
    return 0;
  }
  if (argc > 3 && std::string(argv[1]) == "train") return folio::train_and_fail(argc, argv);
  return folio::run_tests(argc, argv);
}
