#include "folio/inspect/blackbox.h"

#include "folio/kernels/process.h"
#include "folio/tensor/scope_exit.h"

namespace folio {
namespace {

/// The samples of the whole batch that contain bad values of `first`.
std::vector<int64_t> samples_of(const FirstNonFinite& first, const RefusedStep& step,
                                int64_t first_sample) {
  // Activations and their gradients have a row per sample.
  const Shape& shape = first.made[first.culprit].shape;
  std::vector<int64_t> samples;
  if (shape.rank() < 2 || shape[0] != step.settings.micro_batch) return samples;
  for (const int64_t row : first.bad_rows) samples.push_back(first_sample + row);
  return samples;
}

}  // namespace

std::string Finding::where() const { return first ? first->where() : "no op"; }

Finding examine(const Task& task, const Model& model, ParameterStore& parameters,
                const RefusedStep& step) {
  const ScopeExit restore_threads([before = threads()] { set_threads(before); });
  set_threads(step.threads);
  FiniteCheck check(parameters);
  Tape tape(parameters.device());
  tape.set_observer(&check);
  const Tensor loss({1}, accumulator_of(parameters.dtype()), parameters.device());
  Finding finding;
  compute_gradients(task, model, parameters, tape, step.batch, step.settings, loss,
                    [&](int64_t first_sample) {
                      if (check.found()) return false;
                      check.restart();
                      finding.first_sample = first_sample;
                      return true;
                    });
  parameters.finish_gradients();
  finding.first = check.found();
  if (finding.first) finding.samples = samples_of(*finding.first, step, finding.first_sample);
  return finding;
}

}  // namespace folio
