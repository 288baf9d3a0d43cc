#include "folio/train/progress_bar.h"

#include <fmt/core.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <string>

#include "folio/io/output.h"
#include "folio/tensor/error.h"

namespace folio {
namespace {

constexpr double decay = 0.95;  // of the averages, per step
constexpr std::string_view erase_line = "\r\033[K";

/// The first of 1, 2, 5, 10, 20, 50, ... that gives at most 50 lines.
int64_t interval_of_lines(int64_t steps) {
  for (int64_t power = 1;; power *= 10) {
    for (int64_t digit : {1, 2, 5}) {
      if (steps <= 50 * digit * power) return digit * power;
    }
  }
}

std::string clock_time(double seconds) {
  const auto whole = static_cast<int64_t>(std::max(seconds, 0.0) + 0.5);
  if (whole < 3600) return fmt::format("{}:{:02}", whole / 60, whole % 60);
  return fmt::format("{}:{:02}:{:02}", whole / 3600, whole / 60 % 60, whole % 60);
}

/// The width of the terminal; 80 if it is unknown.
size_t columns() {
  winsize size{};
  return ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

}  // namespace

ProgressBar::ProgressBar(int64_t first, int64_t last, int64_t total, bool redraws)
    : terminal_(redraws && ::isatty(STDOUT_FILENO) == 1),
      first_(first),
      last_(last),
      total_(total),
      every_(interval_of_lines(last - first)) {}

void ProgressBar::step(const StepResult& result) {
  loss_ = decay * loss_ + (1.0 - decay) * result.loss;
  seconds_ = decay * seconds_ + (1.0 - decay) * result.seconds;
  weight_ = decay * weight_ + (1.0 - decay);
  all_seconds_ += result.seconds;
  all_tokens_ += result.tokens;

  const Clock::time_point now = Clock::now();
  const bool due =
      terminal_ ? now - last_drawn_ >= std::chrono::milliseconds(100) : result.step % every_ == 0;
  if (!due && result.step != last_) return;
  last_drawn_ = now;
  const double elapsed = std::chrono::duration<double>(now - start_).count();
  const double left = elapsed / static_cast<double>(result.step - first_) *
                      static_cast<double>(last_ - result.step);
  const std::string text = fmt::format(
      "step {}/{}  loss {:.4f}  {} tokens/s  ETA {}", grouped(result.step), grouped(total_),
      loss_ / weight_,
      grouped(static_cast<int64_t>(static_cast<double>(result.tokens) * weight_ / seconds_)),
      clock_time(left));
  if (!terminal_) {
    print(text + "\n");
    return;
  }
  constexpr int64_t width = 20;
  const auto filled = static_cast<size_t>(width * result.step / std::max<int64_t>(total_, 1));
  const std::string bar = fmt::format("[{:.<{}}] {}", std::string(filled, '#'), width, text);
  // A longer line would wrap, and erasing would remove only its last part.
  print(fmt::format("{}{}", erase_line, bar.substr(0, columns() - 1)));
  drawn_ = true;
}

void ProgressBar::line(std::string_view text) {
  erase();
  print(fmt::format("{}\n", text));
}

void ProgressBar::erase() {
  if (drawn_) print(erase_line);
  drawn_ = false;
}

double ProgressBar::tokens_per_second() const {
  return all_seconds_ > 0.0 ? static_cast<double>(all_tokens_) / all_seconds_ : 0.0;
}

}  // namespace folio
