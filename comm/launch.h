// How this process was started: alone, or by mpirun or srun as one of many.
#pragma once

#include <string>

#include "folio/comm/communicator.h"

namespace folio {

/// What a launcher says in the environment.
struct Launch {
  int rank = 0, size = 1;
  std::string launcher;  // "mpirun", "srun"; empty: none
  bool joinable = false; // it offers what MPI needs to find the others
};

Launch launch();

/// The ranks that a launcher started, this process being one; no_others() without a launcher, or if
/// it started one process only. Throws Error where this process cannot join the others, so that
/// they do not all do the same work.
Communicator& join_ranks();

/// What join_ranks() returned; null before.
Communicator* joined_ranks();

}  // namespace folio
