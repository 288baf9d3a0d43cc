// Progress of a training run: a bar on a terminal, plain lines elsewhere.
#pragma once

#include <chrono>
#include <cstdint>
#include <string_view>

#include "folio/train/trainer.h"

namespace folio {

/// Shows step, smoothed loss, tokens/s and the remaining time: on a terminal in one line that is
/// redrawn at most ten times a second, otherwise in 20 to 50 lines over the whole run.
class ProgressBar {
 public:
  /// For steps first + 1 .. last of `total`. Pass redraws = false under a launcher, whose output
  /// looks like a terminal's but often ends in a file.
  ProgressBar(int64_t first, int64_t last, int64_t total, bool redraws = true);

  /// Call it after each step.
  void step(const StepResult& result);
  /// Prints a line, given without its line break, above the bar.
  void line(std::string_view text);
  /// Removes the bar before other output. The next step() draws it again.
  void erase();

  /// The average over all steps so far, without evaluations, samples and checkpoints.
  double tokens_per_second() const;

 private:
  using Clock = std::chrono::steady_clock;

  bool terminal_;
  bool drawn_ = false;
  int64_t first_, last_, total_, every_;
  Clock::time_point start_ = Clock::now(), last_drawn_;
  double loss_ = 0.0, loss_weight_ = 0.0;        // exponential average and its weight
  double seconds_ = 0.0, seconds_weight_ = 0.0;  // of a step, likewise
  double all_seconds_ = 0.0;
  int64_t all_tokens_ = 0;
};

}  // namespace folio
