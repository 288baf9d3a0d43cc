// Shows the progress of training: a progress bar on a terminal, plain lines elsewhere.
#pragma once

#include <chrono>
#include <cstdint>
#include <string_view>

#include "folio/train/trainer.h"

namespace folio {

/// Prints the step, smoothed loss, tokens/s and remaining time. On a terminal it redraws one line
/// at most ten times a second; otherwise it prints 20 to 50 lines for the whole run.
class ProgressBar {
 public:
  /// For steps first + 1 .. last, of `total` in the whole run. `redraws` allows a bar; under a
  /// launcher it must be false, since launchers provide a terminal even if the output is a file.
  ProgressBar(int64_t first, int64_t last, int64_t total, bool redraws);

  /// Must be called after each step.
  void step(const StepResult& result);
  /// Prints a line of text, given without its line break, above the bar.
  void line(std::string_view text);
  /// Removes the bar before other output; the next step() draws it again.
  void erase();

  /// Over all steps so far, without evaluations, samples and checkpoints.
  double tokens_per_second() const;

 private:
  using Clock = std::chrono::steady_clock;

  bool terminal_;
  bool drawn_ = false;
  int64_t first_, last_, total_, every_;
  Clock::time_point start_ = Clock::now(), last_drawn_;
  double loss_ = 0.0, seconds_ = 0.0;  // exponentially weighted sums over steps
  double weight_ = 0.0;                // sum of the weights
  double all_seconds_ = 0.0;
  int64_t all_tokens_ = 0;
};

}  // namespace folio
