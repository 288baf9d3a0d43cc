// A model and everything that trains it.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <vector>

#include "folio/autograd/parameters.h"
#include "folio/autograd/tape.h"
#include "folio/comm/communicator.h"
#include "folio/data/tokenizer.h"
#include "folio/models/model.h"
#include "folio/optim/optimizer.h"
#include "folio/run/config.h"
#include "folio/tasks/task.h"
#include "folio/train/batch_split.h"
#include "folio/train/evaluate.h"
#include "folio/train/spike_guard.h"
#include "folio/train/step_runner.h"

namespace folio {

/// The task, model, optimizer and schedule of a config. It reads the data but no other files; the
/// run directory belongs to train/loop.h. Each rank has a Trainer. All ranks must call the
/// functions that are marked as collective, and get the same results.
class Trainer {
 public:
  /// Reads the data and builds everything. Throws Error for bad input.
  explicit Trainer(const Config& config);
  /// With the tokenizer of an earlier run, or null. `ranks` must outlive the trainer.
  Trainer(const Config& config, std::unique_ptr<Tokenizer> tokenizer,
          Communicator& ranks = single_process());
  /// With `device` and `dtype` instead of those of the config.
  Trainer(const Config& config, std::unique_ptr<Tokenizer> tokenizer, Communicator& ranks,
          Device device, DType dtype);

  /// begin_step() and finish_step(); no step may be in flight. Collective.
  StepResult step();
  /// Begins a step. At most most_in_flight() steps may be in flight, which is 1 except on a GPU.
  /// Collective.
  void begin_step();
  /// Finishes the oldest step in flight. If its update was refused, the later steps in flight are
  /// discarded, and steps_done() falls accordingly. Collective.
  StepResult finish_step();
  int64_t in_flight() const { return in_flight_; }
  int64_t most_in_flight() const { return runner_->most_in_flight(); }
  /// The number of steps that were begun.
  int64_t steps_done() const { return step_; }
  void set_steps_done(int64_t step) { step_ = step; }
  int64_t samples_drawn() const { return step_ * config_.train.batch; }

  /// The settings of a step, counted from 0.
  StepSettings settings_of(int64_t step) { return parts().settings(step); }
  /// The whole batch of a step, counted from 0.
  Batch batch_of(int64_t step) const { return source_->draw(step, 0, config_.train.batch); }

  /// Evaluates the validation split; max_batches as in folio::evaluate(). Throws Error if there is
  /// no such split. Collective.
  Evaluation evaluate(int64_t max_batches);
  /// The validation split; null if there is none.
  const DataSource* validation() const { return validation_.get(); }

  const Config& config() const { return config_; }
  const Task& task() const { return *task_; }
  const Tokenizer& tokenizer() const { return *tokenizer_; }
  const Model& model() const { return *model_; }
  ParameterStore& parameters() { return store_; }
  Optimizer& optimizer() { return *optimizer_; }
  /// Sends rank 0's weights, moments and number of steps to all ranks, before the first step.
  /// Collective.
  void broadcast_state();
  /// Sends rank 0's weights to all ranks, at any time. Collective.
  void broadcast_weights();
  SpikeGuard& spike_guard() { return spike_guard_; }
  Tape& tape() { return tape_; }
  StepRunner& runner() { return *runner_; }

 private:
  StepParts parts();

  Config config_;
  std::unique_ptr<Task> task_;
  std::unique_ptr<Tokenizer> tokenizer_;
  std::unique_ptr<DataSource> source_, validation_;
  ParameterStore store_;
  std::unique_ptr<Model> model_;
  std::unique_ptr<Optimizer> optimizer_;
  Communicator& ranks_;
  BatchSplit split_;
  SpikeGuard spike_guard_;
  Tape tape_;
  std::unique_ptr<StepRunner> runner_;
  std::chrono::steady_clock::time_point timed_until_;
  int64_t in_flight_ = 0;
  int64_t step_ = 0;
};

/// During its lifetime, the optimizer's state on rank 0 is unsharded, as it is saved. The
/// constructor is collective.
class UnshardedState {
 public:
  explicit UnshardedState(Trainer& trainer);
  ~UnshardedState();
  UnshardedState(const UnshardedState&) = delete;
  UnshardedState& operator=(const UnshardedState&) = delete;

 private:
  Optimizer& optimizer_;
  std::vector<OptimizerState> own_;
};

}  // namespace folio
