// Collectives by MPI, for tensors on the host.
#pragma once

#include <functional>
#include <memory>
#include <string_view>

#include "folio/comm/communicator.h"

namespace folio {

/// A communicator of host tensors whose timeout other communicators can use.
class HostCommunicator : public Communicator {
 public:
  /// Polls `done` until it returns true; `name` names the operation in messages. After the timeout,
  /// finds out which ranks do not wait, and aborts all ranks.
  virtual void wait_for(const std::function<bool()>& done, std::string_view name) = 0;
};

/// Connects the processes that a launcher started. May be called once in a process, which must then
/// end with finish() or abort(). Throws Error if MPI cannot be initialized.
std::unique_ptr<HostCommunicator> make_mpi_communicator();

}  // namespace folio
