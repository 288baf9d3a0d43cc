// The interface of training steps: by one process on the host, by several ranks, or on a GPU.
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

/// Why a step's update was refused.
enum class Refusal : uint8_t {
  none,        // the update was made
  not_finite,  // the loss or the gradient norm is not finite
  spike,       // the gradient norm is a spike, see SpikeGuard
};

struct StepResult {
  int64_t step = 0;  // steps done, including this one
  double loss = 0.0;
  double lr = 0.0;
  double gradient_norm = 0.0;
  double seconds = 0.0;
  double batch_seconds = 0.0, optimizer_seconds = 0.0;  // parts of `seconds`
  int64_t tokens = 0;
  Refusal refusal = Refusal::none;
  std::string reason = {};  // of the refusal: "the loss is nan and the gradient norm inf"
};

/// The objects that a step uses. They must outlive the runner.
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

  /// The settings of a step, counted from 0.
  StepSettings settings(int64_t step) const;
  /// Clips gradients and updates the weights, or refuses the update. Requires result.loss; sets
  /// gradient norm, refusal and reason.
  void update(StepResult& result) const;
};

/// Makes training steps. A step whose update is refused leaves weights and moments unchanged, but
/// is counted.
class StepRunner {
 public:
  virtual ~StepRunner() = default;

  /// The maximum number of steps in flight: begun but not finished.
  virtual int64_t most_in_flight() const { return 1; }
  /// Begins a step, counted from 0.
  virtual void begin(int64_t step, double lr) = 0;
  /// Waits for the oldest step in flight and returns its result. If its update was refused, the
  /// later steps in flight, which have changed nothing, are discarded.
  virtual StepResult finish() = 0;

  /// Whether a GPU may replay steps from captured graphs.
  virtual void set_replays(bool) {}
  /// The reducer of gradients; null if there is none.
  virtual GradientReducer* reducer() { return nullptr; }
};

/// For one process on the host.
std::unique_ptr<StepRunner> on_host(const StepParts& parts);
/// For several ranks or train.reduce: ordered, on any device. All ranks must make each step.
std::unique_ptr<StepRunner> over_ranks(const StepParts& parts, bool shard);
/// For one process with a GPU, see gpu_step.h.
std::unique_ptr<StepRunner> on_gpu(const StepParts& parts);

/// Sets refusal and reason from the loss and the gradient norm.
void judge(StepResult& result, const SpikeGuard& spike_guard);

}  // namespace folio
