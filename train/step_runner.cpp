#include "folio/train/step_runner.h"

#include <fmt/format.h>

#include <chrono>
#include <cmath>

#include "folio/io/output.h"

namespace folio {

StepSettings StepParts::settings(int64_t step) const {
  return {.seed = config.seed, .step = step, .micro_batch = split.micro_batch()};
}

void StepParts::update(StepResult& result) const {
  const auto start = std::chrono::steady_clock::now();
  result.gradient_norm = optimizer.measure();
  judge(result, spike_guard);
  if (result.refusal == Refusal::none) {
    optimizer.update(result.step - 1, result.lr);
    spike_guard.accept(result.gradient_norm);
  } else {
    optimizer.discard_gradients();
  }
  const auto elapsed = std::chrono::steady_clock::now() - start;
  result.optimizer_seconds = std::chrono::duration<double>(elapsed).count();
}

void judge(StepResult& result, const SpikeGuard& spike_guard) {
  const double norm = result.gradient_norm;
  if (!std::isfinite(result.loss) || !std::isfinite(norm)) {
    result.refusal = Refusal::not_finite;
    result.reason = fmt::format("the loss is {} and the gradient norm {}",
                                short_number(result.loss), short_number(norm));
  } else if (spike_guard.is_spike(norm)) {
    result.refusal = Refusal::spike;
    result.reason = fmt::format("the gradient norm is {}, a spike of z-score {}",
                                short_number(norm), short_number(spike_guard.z_score(norm)));
  }
}

}  // namespace folio
