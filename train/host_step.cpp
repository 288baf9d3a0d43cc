// A training step of one process on the host.
#include <chrono>
#include <cstdint>
#include <memory>
#include <utility>

#include "folio/train/step_runner.h"

namespace folio {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

class HostStep : public StepRunner {
 public:
  explicit HostStep(const StepParts& parts)
      : parts_(parts),
        loss_({1}, accumulator_of(parts.parameters.dtype()), parts.parameters.device()) {}

  void begin(int64_t step, double lr) override {
    auto& [config, task, source, model, parameters, optimizer, tape, spike_guard, split, ranks] =
        parts_;
    StepResult result{.step = step + 1, .lr = lr};

    const auto start = Clock::now();
    const Batch batch = source.draw(step, 0, config.batch);
    result.tokens = task.tokens(batch);
    result.batch_seconds = seconds_since(start);

    // Forward and backward.
    compute_gradients(task, model, parameters, tape, batch, parts_.settings(step), loss_);
    result.loss = loss_.item();

    // Clip and update.
    const auto update = Clock::now();
    result.gradient_norm = optimizer.measure();
    judge(result, spike_guard);
    if (result.refusal == Refusal::none) {
      optimizer.update(step, lr);
      spike_guard.accept(result.gradient_norm);
    } else {
      optimizer.discard_gradients();
    }
    result.optimizer_seconds = seconds_since(update);
    result_ = std::move(result);
  }

  StepResult finish() override { return std::move(result_); }

 private:
  StepParts parts_;
  Tensor loss_;
  StepResult result_;
};

}  // namespace

std::unique_ptr<StepRunner> on_host(const StepParts& parts) {
  return std::make_unique<HostStep>(parts);
}

}  // namespace folio
