#include "folio/comm/launch.h"

#include <fmt/core.h>

#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <initializer_list>
#include <optional>
#include <system_error>

#ifdef FOLIO_HAVE_MPI
#include "folio/comm/mpi.h"
#endif
#ifdef FOLIO_HAVE_NCCL
#include "folio/comm/nccl.h"
#endif
#include "folio/comm/placement.h"
#include "folio/tensor/error.h"

namespace folio {
namespace {

Communicator* joined = nullptr;

/// The value of the first of these environment variables that holds a whole number.
std::optional<int> number_in(std::initializer_list<const char*> names) {
  for (const char* name : names) {
    const char* text = std::getenv(name);
    if (text == nullptr) continue;
    int number = 0;
    const char* end = text + std::strlen(text);
    const auto parsed = std::from_chars(text, end, number);
    if (parsed.ec == std::errc() && parsed.ptr == end && number >= 0) return number;
  }
  return std::nullopt;
}

}  // namespace

Launch launch() {
  const auto by_mpirun = number_in({"OMPI_COMM_WORLD_SIZE", "PMI_SIZE"});
  // SLURM_NTASKS is not read: batch scripts have it too, although no srun started them.
  const auto by_srun = number_in({"SLURM_STEP_NUM_TASKS"});
  Launch result;
  result.joinable = by_mpirun || number_in({"PMIX_RANK"});
  result.size = by_mpirun ? *by_mpirun : by_srun.value_or(1);
  result.rank =
      number_in({"OMPI_COMM_WORLD_RANK", "PMI_RANK", "PMIX_RANK", "SLURM_PROCID"}).value_or(0);
  if (by_mpirun || by_srun) result.launcher = by_srun ? "srun" : "mpirun";
  if (result.size <= 1) result.rank = 0;
  return result;
}

Communicator& join_ranks() {
  if (joined != nullptr) return *joined;
  const Launch started = launch();
  if (started.size <= 1) {
    joined = &single_process();
    return *joined;
  }
#ifdef FOLIO_HAVE_MPI
  FOLIO_CHECK(started.joinable, "ranks",
              "{} started {} processes without PMI, so they cannot connect to each other; use "
              "srun --mpi=pmix, or mpirun",
              started.launcher, started.size);
  // Never destroyed: a process ends with finish() or abort().
#ifdef FOLIO_HAVE_NCCL
  joined = make_nccl_communicator(make_mpi_communicator()).release();
#else
  joined = make_mpi_communicator().release();
#endif
  FOLIO_CHECK(joined->size() == started.size, "ranks",
              "{} started {} processes, but MPI finds {}; use the launcher of {}, with which this "
              "program was built",
              started.launcher, started.size, joined->size(), joined->describe());
  choose_gpu(*joined);
  return *joined;
#else
  fail("ranks", fmt::format("{} started {} processes, but this build has no MPI, and each would do "
                            "the same work; build with MPI (Debian: libopenmpi-dev), or start one",
                            started.launcher, started.size));
#endif
}

int leave_ranks(std::string_view failure, int exit_code) {
  const bool several = joined != nullptr && joined->size() > 1;
  if (failure.empty()) {
    if (several) joined->finish();
    return exit_code;
  }
  const std::string who =
      several ? fmt::format("rank {} of {}: ", joined->rank(), joined->size()) : "";
  std::fflush(stdout);
  // Not fmt::print, which throws if stderr cannot be written.
  std::fputs(fmt::format("folio: error: {}{}\n", who, failure).c_str(), stderr);
  if (several) joined->abort(exit_code);
  return exit_code;
}

}  // namespace folio
