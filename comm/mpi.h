// MPI carries the messages of the host.
#pragma once

#include <memory>
#include <string_view>

#include "folio/comm/communicator.h"

namespace folio {

/// A communicator whose patience others may use.
class PatientCommunicator : public Communicator {
 public:
  /// Polls the operation until it is done; `name` names it in messages. Where the patience is at
  /// its end, it finds out which ranks do not wait, and ends them all.
  virtual void wait_for(Operation& operation, std::string_view name) = 0;
};

/// Joins the processes that a launcher started with this one. Once in a process, which then ends
/// through finish() or abort(). Throws Error where MPI does not come up.
std::unique_ptr<PatientCommunicator> join_mpi();

}  // namespace folio
