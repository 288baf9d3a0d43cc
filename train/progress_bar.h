// What a training run shows while it goes: a bar on a terminal, plain lines elsewhere.
#pragma once

#include <chrono>
#include <cstdint>
#include <string_view>

#include "folio/train/trainer.h"

namespace folio {

/// Step, smoothed loss, tokens/s and the time left. On a terminal one line that is redrawn at most
/// ten times a second; piped, 20 to 50 lines over the whole run.
class ProgressBar {
 public:
  /// Steps first + 1 .. last are going to be done, of `total` in the whole run. `redraws`: on a
  /// terminal; what a launcher gives its ranks looks like one and ends in a file as often.
  ProgressBar(int64_t first, int64_t last, int64_t total, bool redraws = true);

  /// After each step.
  void step(const StepResult& result);
  /// One line of other text, without its line break, above the bar.
  void line(std::string_view text);
  /// Takes the bar away before other output; the next step() draws it again.
  void erase();

  /// Over all steps so far, evaluations, samples and checkpoints left out.
  double tokens_per_second() const;

 private:
  using Clock = std::chrono::steady_clock;

  bool terminal_;
  bool drawn_ = false;
  int64_t first_, last_, total_, every_;
  Clock::time_point start_ = Clock::now(), last_drawn_;
  double loss_ = 0.0, loss_weight_ = 0.0;        // exponential average and the weight it has
  double seconds_ = 0.0, seconds_weight_ = 0.0;  // of a step, likewise
  double all_seconds_ = 0.0;
  int64_t all_tokens_ = 0;
};

}  // namespace folio
