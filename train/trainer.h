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

/// Task, model, optimizer and schedule of a config. It reads the data but no run directory, which
/// is the business of train/loop.h. Each rank has a Trainer. All ranks must call the members that
/// are marked as collective, and get the same results.
class Trainer {
 public:
  /// Reads the data and builds everything. Throws Error for bad input.
  explicit Trainer(const Config& config);
  /// With the tokenizer of a resumed run, which must know the text. `ranks` must outlive the
  /// trainer.
  Trainer(const Config& config, std::unique_ptr<Tokenizer> tokenizer,
          Communicator& ranks = single_process());
  /// With a device and a type that override those of the config.
  Trainer(const Config& config, std::unique_ptr<Tokenizer> tokenizer, Communicator& ranks,
          Device device, DType dtype);

  /// Begins and finishes one step; no other may be in flight. Collective.
  StepResult step();
  /// begin_step() begins a step and finish_step() returns the result of the oldest one that was
  /// begun. On a GPU up to most_in_flight() steps may be in flight; elsewhere begin_step() makes
  /// the whole step. If a step is refused, the steps begun after it are forgotten, and steps_done()
  /// is reduced.
  void begin_step();
  StepResult finish_step();
  int64_t in_flight() const { return in_flight_; }
  int64_t most_in_flight() const { return runner_->most_in_flight(); }
  /// The number of steps done, including those in flight.
  int64_t steps_done() const { return step_; }
  void set_steps_done(int64_t step) { step_ = step; }
  /// The number of samples drawn so far.
  int64_t samples_drawn() const { return step_ * config_.train.batch; }

  /// The settings of a step, which is counted from 0.
  StepSettings settings_of(int64_t step) { return parts().settings(step); }
  /// The whole batch of a step.
  Batch batch_of(int64_t step) const { return source_->draw(step, 0, config_.train.batch); }

  /// Evaluates the validation split; max_batches as in folio::evaluate(). Throws Error if there is
  /// no such split. Collective.
  Evaluation evaluate(int64_t max_batches);
  /// Null without a validation split.
  const DataSource* validation() const { return validation_.get(); }

  const Config& config() const { return config_; }
  const Task& task() const { return *task_; }
  const Tokenizer& tokenizer() const { return *tokenizer_; }
  const Model& model() const { return *model_; }
  ParameterStore& parameters() { return store_; }
  Optimizer& optimizer() { return *optimizer_; }
  /// Copies weights, moments and the number of steps from rank 0, before the first step.
  /// Collective.
  void take_state_of_rank_0();
  /// Copies the weights from rank 0. Collective.
  void take_weights_of_rank_0();
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
  int64_t in_flight_ = 0;  // steps begun and not finished
  int64_t step_ = 0;
};

/// Gathers a sharded optimizer's state on rank 0 for as long as it exists, so that it can be saved.
/// All ranks must construct one together.
class WholeMoments {
 public:
  explicit WholeMoments(Trainer& trainer);
  ~WholeMoments();
  WholeMoments(const WholeMoments&) = delete;
  WholeMoments& operator=(const WholeMoments&) = delete;

 private:
  Optimizer& optimizer_;
  std::vector<OptimizerState> own_;
};

}  // namespace folio
