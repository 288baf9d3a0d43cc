#include "folio/train/step_gradients.h"

#include <algorithm>

#include "folio/kernels/kernels.h"

namespace folio {

void compute_gradients(const Task& task, const Model& model, ParameterStore& parameters, Tape& tape,
                       const Batch& batch, const StepSettings& settings, const Tensor& loss,
                       const std::function<bool(int64_t first_sample)>& begin) {
  const int64_t samples = batch.samples();
  const int64_t targets = settings.targets > 0 ? settings.targets : task.targets(batch);
  tape.set_recording(true);
  tape.set_training(true);
  parameters.start_gradients();
  for (int64_t first = 0; first < samples; first += settings.micro_batch) {
    if (begin && !begin(first)) return;
    tape.set_context({.seed = settings.seed,
                      .step = static_cast<uint32_t>(settings.step),
                      .first_sample = settings.first_sample + first});
    const Variable part_loss = task.loss(
        tape, model, batch.part(first, std::min(settings.micro_batch, samples - first)), targets);
    tape.kernels().copy({&loss, first > 0}, part_loss.value);
    tape.backward(part_loss);
    tape.clear();
  }
}

}  // namespace folio
