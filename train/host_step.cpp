// A training step of one process on the host.
#include <chrono>
#include <cstdint>
#include <memory>
#include <utility>

#include "folio/train/step_runner.h"

namespace folio {
namespace {

class HostStep : public StepRunner {
 public:
  explicit HostStep(const StepParts& parts)
      : parts_(parts),
        loss_({1}, accumulator_of(parts.parameters.dtype()), parts.parameters.device()) {}

  void begin(int64_t step, double lr) override {
    result_ = {.step = step + 1, .lr = lr};
    const auto start = std::chrono::steady_clock::now();
    const Batch batch = parts_.source.draw(step, 0, parts_.config.batch);
    result_.tokens = parts_.task.tokens(batch);
    const auto elapsed = std::chrono::steady_clock::now() - start;
    result_.batch_seconds = std::chrono::duration<double>(elapsed).count();

    compute_gradients(parts_.task, parts_.model, parts_.parameters, parts_.tape, batch,
                      parts_.settings(step), loss_);
    result_.loss = loss_.item();
    parts_.update(result_);
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
