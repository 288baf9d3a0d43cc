// Detects whether mpirun or srun started this process as one of several ranks, and joins them.
#pragma once

#include <string>
#include <string_view>

#include "folio/comm/communicator.h"

namespace folio {

/// What the launcher's environment variables say.
struct Launch {
  int rank = 0, size = 1;
  std::string launcher;   // "mpirun", "srun", or empty without a launcher
  bool joinable = false;  // MPI can find the other ranks through it
};

Launch launch();

/// The communicator of the ranks that a launcher started; single_process() if there is one process.
/// Throws Error if this process cannot join the other ranks, so that they do not all do the same
/// work.
Communicator& join_ranks();

/// Ends the work with ranks and returns the exit code of this process. A failure is printed as one
/// line on stderr, with the rank if there are several, and aborts all ranks; otherwise each rank
/// waits until all have come to their end.
int leave_ranks(std::string_view failure = {}, int exit_code = 0);

}  // namespace folio
