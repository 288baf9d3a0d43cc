// MPI carries the messages: ranks on CPUs.
#pragma once

#include <memory>

#include "folio/comm/communicator.h"

namespace folio {

/// Joins the processes that a launcher started with this one. Once in a process, which then ends
/// through finish() or abort(). Throws Error where MPI does not come up.
std::unique_ptr<Communicator> join_mpi();

}  // namespace folio
