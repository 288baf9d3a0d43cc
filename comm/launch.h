// How this process was started: alone, or by mpirun or srun as one of many.
#pragma once

#include <string>
#include <string_view>

#include "folio/comm/communicator.h"

namespace folio {

/// What a launcher says in the environment.
struct Launch {
  int rank = 0, size = 1;
  std::string launcher;   // "mpirun", "srun"; empty: none
  bool joinable = false;  // it offers what MPI needs to find the others
};

Launch launch();

/// The ranks that a launcher started, this process being one; no_others() without a launcher, or if
/// it started one process only. Throws Error where this process cannot join the others, so that
/// they do not all do the same work.
Communicator& join_ranks();

/// The end of the program's part: what failed, if something did, in a line on stderr, with the rank
/// where there are several; then an exit code for this process. Of several ranks all end: by
/// themselves if nothing failed, else at once.
int leave_ranks(std::string_view failure = {}, int exit_code = 0);

}  // namespace folio
