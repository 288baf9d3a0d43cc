// How this process was started: by itself, or by mpirun or srun as one of several ranks.
#pragma once

#include <string>
#include <string_view>

#include "folio/comm/communicator.h"

namespace folio {

/// What the environment variables of a launcher say.
struct Launch {
  int rank = 0, size = 1;
  std::string launcher;   // "mpirun", "srun"; empty: none
  bool joinable = false;  // it provides the PMI that MPI needs to connect the processes
};

Launch launch();

/// Connects this process to the other ranks that the launcher started. Returns single_process() if
/// there are none. Throws Error if this process cannot connect, since otherwise each process would
/// do all of the work.
Communicator& join_ranks();

/// Returns the process's exit code. If `failure` is not empty, prints it to stderr, with the rank
/// if there are several, and ends all ranks at once. Otherwise waits for the other ranks.
int leave_ranks(std::string_view failure = {}, int exit_code = 0);

}  // namespace folio
