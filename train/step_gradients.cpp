#include "folio/train/step_gradients.h"

#include <algorithm>

#include "folio/kernels/kernels.h"

namespace folio {

void compute_gradients(const Gpt& model, ParameterStore& parameters, Tape& tape, const Batch& batch,
                       const StepSettings& settings, const Tensor& loss,
                       const std::function<bool(int64_t first_sample)>& begin) {
  const int64_t samples = batch.inputs.dim(0), context = batch.inputs.dim(1);
  const int64_t targets = settings.targets > 0 ? settings.targets : batch.targets.numel();
  const auto part = [&](const Tensor& whole, int64_t first) {
    return whole.view(first * context, {std::min(settings.micro_batch, samples - first), context});
  };
  tape.set_recording(true);
  tape.set_training(true);
  parameters.start_gradients();
  for (int64_t first = 0; first < samples; first += settings.micro_batch) {
    if (begin && !begin(first)) return;
    tape.set_context({.seed = settings.seed,
                      .step = static_cast<uint32_t>(settings.step),
                      .first_sample = settings.first_sample + first});
    const Variable part_loss =
        model.loss(tape, part(batch.inputs, first), part(batch.targets, first),
                   settings.label_smoothing, targets);
    tape.kernels().copy({&loss, first > 0}, part_loss.value);
    tape.backward(part_loss);
    tape.clear();
  }
}

}  // namespace folio
