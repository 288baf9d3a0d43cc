// Handles SIGINT, SIGTERM, SIGHUP and SIGUSR1 as requests to stop between two steps.
#pragma once

#include <signal.h>

#include <array>

namespace folio {

/// While an object exists, these signals only set a flag. A second SIGINT terminates the process as
/// usual. A signal that was ignored before (nohup, a background job) stays ignored. mpirun forwards
/// SIGUSR1 to all ranks and waits for them; after the other signals it kills them. At most one
/// object may exist, on the main thread, for which it sets an alternate signal stack.
class StopSignal {
 public:
  /// `tells`: whether a request is acknowledged on standard output.
  explicit StopSignal(bool tells = true);
  ~StopSignal();
  StopSignal(const StopSignal&) = delete;
  StopSignal& operator=(const StopSignal&) = delete;

  /// Whether a signal has arrived.
  bool requested() const;

 private:
  std::array<struct sigaction, 4> old_actions_;
  stack_t old_stack_;
};

}  // namespace folio
