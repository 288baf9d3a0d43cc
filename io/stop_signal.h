// SIGINT, SIGTERM, SIGHUP and SIGUSR1 as a wish to stop, which training hears between two steps.
#pragma once

#include <signal.h>

namespace folio {

/// While it lives, these signals are only noted (mpirun hands SIGUSR1 on to all ranks and leaves
/// them their time; after the others it kills them). The second SIGINT ends the process, as if
/// there were no such object. A signal that was ignored before (nohup, a job in the background)
/// stays ignored. At most one at a time, on the thread that began the program: it gives that one a
/// stack for handlers.
class StopSignal {
 public:
  /// `tells`: on standard output, that the wish was heard.
  explicit StopSignal(bool tells = true);
  ~StopSignal();
  StopSignal(const StopSignal&) = delete;
  StopSignal& operator=(const StopSignal&) = delete;

  /// Whether one of them came.
  bool requested() const;

 private:
  struct sigaction old_interrupt_, old_terminate_, old_hangup_, old_user_;
  stack_t old_stack_;
};

}  // namespace folio
