// A model with all that trains it.
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

/// Task, model, optimizer and schedule of a config. It knows no files but the data; train/loop.h
/// keeps the run directory. With several ranks each has a Trainer, and where a comment says so all
/// must call it together; what it reports is the same on each.
class Trainer {
 public:
  /// Reads the data and builds everything. Throws Error for bad input.
  explicit Trainer(const Config& config);
  /// With the tokenizer of a run that continues: the text must be known to it. `ranks` must outlive
  /// this.
  Trainer(const Config& config, std::unique_ptr<Tokenizer> tokenizer,
          Communicator& ranks = single_process());
  /// On `device` and in `dtype`, whatever the config says of them.
  Trainer(const Config& config, std::unique_ptr<Tokenizer> tokenizer, Communicator& ranks,
          Device device, DType dtype);

  /// One step, begun and finished. None may be in flight. All ranks together.
  StepResult step();
  /// Begins a step; its result is finish_step()'s, the oldest first. On a GPU up to
  /// most_in_flight() of them are on their way at once, elsewhere the step is made here. Where one
  /// is refused, those begun after it are forgotten, as if they had not been: whoever counts looks
  /// at steps_done().
  void begin_step();
  StepResult finish_step();
  int64_t in_flight() const { return in_flight_; }
  int64_t most_in_flight() const { return runner_->most_in_flight(); }
  /// Steps done so far, or begun.
  int64_t steps_done() const { return step_; }
  void set_steps_done(int64_t step) { step_ = step; }
  /// Samples drawn so far; the next step draws from this one on.
  int64_t samples_drawn() const { return step_ * config_.train.batch; }

  /// What the gradients of a step (counted from 0) depend on besides the weights.
  StepSettings settings_of(int64_t step) { return parts().settings(step); }
  /// The step's whole batch.
  Batch batch_of(int64_t step) const { return source_->draw(step, 0, config_.train.batch); }

  /// Over the validation split; max_batches as in folio::evaluate(). Throws Error if there is no
  /// such split. All ranks together.
  Evaluation evaluate(int64_t max_batches);
  /// Null where there is nothing to validate on.
  const DataSource* validation() const { return validation_.get(); }

  const Config& config() const { return config_; }
  const Task& task() const { return *task_; }
  const Tokenizer& tokenizer() const { return *tokenizer_; }
  const Model& model() const { return *model_; }
  ParameterStore& parameters() { return store_; }
  Optimizer& optimizer() { return *optimizer_; }
  /// Before the first step: every rank takes the weights, moments and count of steps of rank 0. All
  /// ranks together.
  void take_state_of_rank_0();
  /// The weights alone, at any time. All ranks together.
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

/// While it lives, the optimizer's state on rank 0 is whole, whatever parts ranks have: as it is
/// saved. All ranks make one together.
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
