// Makes training steps: by one process on the host, by several ranks, or on a GPU.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "folio/autograd/parameters.h"
#include "folio/autograd/tape.h"
#include "folio/comm/communicator.h"
#include "folio/comm/gradient_reducer.h"
#include "folio/optim/optimizer.h"
#include "folio/run/train_config.h"
#include "folio/train/batch_split.h"
#include "folio/train/spike_guard.h"
#include "folio/train/step_gradients.h"

namespace folio {

/// The reason why a step's update was not made.
enum class Refusal : uint8_t {
  none,        // the update was made
  not_finite,  // the loss or the gradient norm is not finite
  spike,       // the gradient norm is an outlier, see SpikeGuard
};

/// What a step reports.
struct StepResult {
  int64_t step = 0;  // steps done, this one included
  double loss = 0.0;
  double lr = 0.0;
  double gradient_norm = 0.0;
  double seconds = 0.0;
  double batch_seconds = 0.0, optimizer_seconds = 0.0;  // parts of `seconds`
  int64_t tokens = 0;
  Refusal refusal = Refusal::none;
  std::string reason = {};  // of the refusal: "the loss is nan and the gradient norm inf"
};

/// References to what a step uses, all of which must outlive the runner.
struct StepParts {
  const TrainConfig& config;
  Task& task;
  const DataSource& source;
  const Model& model;
  ParameterStore& parameters;
  Optimizer& optimizer;
  Tape& tape;
  SpikeGuard& spike_guard;
  const BatchSplit& split;
  Communicator& ranks;

  /// The settings of a step, which is counted from 0.
  StepSettings settings(int64_t step) const;
};

/// Makes steps. If an update is refused, weights and moments keep their bits, and the step counts
/// as done.
class StepRunner {
 public:
  virtual ~StepRunner() = default;

  /// How many steps may be begun before the oldest is finished.
  virtual int64_t most_in_flight() const { return 1; }
  /// Begins a step, counted from 0.
  virtual void begin(int64_t step, double lr) = 0;
  /// The result of the oldest step that was begun. If that step was refused, the runner forgets the
  /// steps begun after it, which changed nothing.
  virtual StepResult finish() = 0;

  /// Whether a GPU may replay steps from captured graphs.
  virtual void set_replays(bool) {}
  /// The reducer of gradients; null if a single process computes them at once.
  virtual GradientReducer* reducer() { return nullptr; }
};

/// For one process on the host; the gradients of micro-batches are added as they are computed.
std::unique_ptr<StepRunner> on_host(const StepParts& parts);
/// For several ranks, or for micro-batches whose gradients are added in order (train.reduce:
/// ordered), on any device. All ranks must make their steps together.
std::unique_ptr<StepRunner> over_ranks(const StepParts& parts, bool shard);
/// For one process with a GPU, see gpu_step.h.
std::unique_ptr<StepRunner> on_gpu(const StepParts& parts);

/// Sets refusal and reason from loss and gradient norm.
void judge(StepResult& result, const SpikeGuard& spike_guard);

}  // namespace folio
