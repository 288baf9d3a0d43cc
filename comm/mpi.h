// A communicator for tensors in host memory, by MPI.
#pragma once

#include <memory>
#include <string_view>

#include "folio/comm/communicator.h"

namespace folio {

/// A communicator whose wait with a timeout other communicators can use.
class HostCommunicator : public Communicator {
 public:
  /// Polls the operation, which error messages call `name`, until it is done. After the timeout it
  /// finds out which ranks do not wait, and aborts all.
  virtual void wait_for(Operation& operation, std::string_view name) = 0;
};

/// Joins the processes that a launcher started with this one. It can be called once per process,
/// which must end through finish() or abort(). Throws Error if MPI cannot be initialized.
std::unique_ptr<HostCommunicator> join_mpi();

}  // namespace folio
