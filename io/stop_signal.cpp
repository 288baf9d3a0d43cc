#include "folio/io/stop_signal.h"

#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <string_view>

namespace folio {
namespace {

// SIGHUP: the terminal is closed, for example by the end of an ssh session.
constexpr std::array<int, 4> signals = {SIGINT, SIGTERM, SIGHUP, SIGUSR1};

std::atomic<bool> stop_requested = false;
std::atomic<bool> tells_so = true;
static_assert(std::atomic<bool>::is_always_lock_free, "signal handlers may use nothing else");

/// The alternate signal stack. While oneDNN's f32 product for AVX-512 runs, a signal frame on the
/// normal stack would overwrite the heap (docs/decisions.md).
alignas(16) std::array<char, 1 << 16> handler_stack;

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
  action.sa_flags = SA_RESTART | SA_ONSTACK | flags;
  ::sigemptyset(&action.sa_mask);
  ::sigaction(signal, &action, nullptr);
  return old;
}

}  // namespace

StopSignal::StopSignal(bool tells) {
  tells_so = tells;
  stop_requested = false;
  ::sigaltstack(nullptr, &old_stack_);
  // Otherwise there is one already, such as a sanitizer's.
  if ((old_stack_.ss_flags & SS_DISABLE) != 0) {
    stack_t own = {};
    own.ss_sp = handler_stack.data();
    own.ss_size = handler_stack.size();
    ::sigaltstack(&own, nullptr);
  }
  for (size_t i = 0; i < signals.size(); ++i) {
    old_actions_[i] = handle(signals[i], signals[i] == SIGINT ? SA_RESETHAND : 0);
  }
}

StopSignal::~StopSignal() {
  for (size_t i = 0; i < signals.size(); ++i) ::sigaction(signals[i], &old_actions_[i], nullptr);
  if ((old_stack_.ss_flags & SS_DISABLE) != 0) ::sigaltstack(&old_stack_, nullptr);
}

bool StopSignal::requested() const { return stop_requested; }

}  // namespace folio
