#include "folio/train/stop_signal.h"

#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <string_view>

namespace folio {
namespace {

std::atomic<bool> stop_requested = false;
std::atomic<bool> tells_so = true;
static_assert(std::atomic<bool>::is_always_lock_free, "signal handlers may use nothing else");

extern "C" void note_signal(int) {
  const int error = errno;
  if (!stop_requested.exchange(true) && tells_so) {
    constexpr std::string_view text =
        "\nstopping: the step is finished and saved first; a second SIGINT (Ctrl-C) does not "
        "wait\n";
    [[maybe_unused]] const ssize_t written = ::write(STDOUT_FILENO, text.data(), text.size());
  }
  errno = error;
}

/// `flags`: SA_RESETHAND makes the second signal end the process.
struct sigaction handle(int signal, int flags) {
  struct sigaction old;
  ::sigaction(signal, nullptr, &old);
  if (old.sa_handler == SIG_IGN) return old;
  struct sigaction action = {};
  action.sa_handler = note_signal;
  action.sa_flags = SA_RESTART | flags;
  ::sigemptyset(&action.sa_mask);
  ::sigaction(signal, &action, nullptr);
  return old;
}

}  // namespace

StopSignal::StopSignal(bool tells) {
  tells_so = tells;
  stop_requested = false;
  old_interrupt_ = handle(SIGINT, SA_RESETHAND);
  old_terminate_ = handle(SIGTERM, 0);
  old_hangup_ = handle(SIGHUP, 0);  // the terminal is gone, as when an ssh session ends
  old_user_ = handle(SIGUSR1, 0);
}

StopSignal::~StopSignal() {
  ::sigaction(SIGINT, &old_interrupt_, nullptr);
  ::sigaction(SIGTERM, &old_terminate_, nullptr);
  ::sigaction(SIGHUP, &old_hangup_, nullptr);
  ::sigaction(SIGUSR1, &old_user_, nullptr);
}

bool StopSignal::requested() const { return stop_requested; }

}  // namespace folio
