// The training loop.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <filesystem>
#include <functional>
#include <memory>
#include <vector>

#include "folio/autograd/parameters.h"
#include "folio/autograd/tape.h"
#include "folio/comm/communicator.h"
#include "folio/comm/gradient_reducer.h"
#include "folio/data/batches.h"
#include "folio/data/corpus.h"
#include "folio/data/tokenizer.h"
#include "folio/models/gpt.h"
#include "folio/optim/optimizer.h"
#include "folio/run/checkpoint.h"
#include "folio/run/config.h"
#include "folio/train/batch_split.h"
#include "folio/train/evaluate.h"
#include "folio/train/gpu_step.h"
#include "folio/train/spike_guard.h"
#include "folio/train/step_gradients.h"

namespace folio {

/// Why a step's update was not made.
enum class Refusal : uint8_t {
  none,        // it was made
  not_finite,  // the loss or the gradient norm
  spike,       // of the gradient norm, see SpikeGuard
};

/// What a step reports.
struct StepResult {
  int64_t step = 0;  // steps done, this one included
  double loss = 0.0;
  double lr = 0.0;
  double gradient_norm = 0.0;
  double seconds = 0.0;
  double batch_seconds = 0.0, optimizer_seconds = 0.0;  // of these, drawing the batch; the update
  int64_t tokens = 0;
  Refusal refusal = Refusal::none;
  std::string reason = {};  // of the refusal: "the loss is nan and the gradient norm inf"
};

/// A model with all that trains it: text, tokenizer, optimizer, schedule. It knows no files but the
/// text; train/run.h keeps the run directory. With several ranks each has a Trainer, and where a
/// comment says so all must call it together; what it reports is the same on each.
class Trainer {
 public:
  /// Reads the text and builds everything. Throws Error for bad input.
  explicit Trainer(const Config& config);
  /// With the tokenizer of a run that continues: the text must be known to it. `ranks` must outlive
  /// this.
  Trainer(const Config& config, std::unique_ptr<Tokenizer> tokenizer,
          Communicator& ranks = no_others());
  /// On `device` and in `dtype`, whatever the config says of them.
  Trainer(const Config& config, std::unique_ptr<Tokenizer> tokenizer, Communicator& ranks,
          Device device, DType dtype);

  /// One step: forward and backward of every micro-batch, then the update. Where that is refused,
  /// weights and moments keep their bits, and the step counts all the same. All ranks together.
  /// None may be in flight.
  StepResult step();
  /// Begins a step; its result is finish_step()'s, the oldest first. On a GPU up to
  /// most_in_flight() of them are on their way at once, elsewhere the step is made here. Where one
  /// is refused, those begun after it are forgotten, as if they had not been: whoever counts looks
  /// at steps_done().
  void begin_step();
  StepResult finish_step();
  int64_t in_flight() const { return std::ssize(pending_); }
  /// train.steps_in_flight where steps are on their way at all, else 1: with a spike guard the norm
  /// must be known before the update is begun.
  int64_t most_in_flight() const;
  /// Steps done so far, or begun.
  int64_t steps_done() const { return step_; }
  void set_steps_done(int64_t step) { step_ = step; }
  /// Samples drawn so far; the next step draws from this one on.
  int64_t samples_drawn() const { return step_ * config_.train.batch; }

  /// What the gradients of a step (counted from 0) depend on besides the weights.
  StepSettings settings_of(int64_t step) const;
  /// The step's whole batch, (B, T).
  Batch batch_of(int64_t step) const { return sampler_->draw(step, 0, config_.train.batch); }

  /// Over the validation split; max_batches as in folio::evaluate(). All ranks together.
  Evaluation evaluate(int64_t max_batches);

  const Config& config() const { return config_; }
  const Corpus& corpus() const { return corpus_; }
  const Tokenizer& tokenizer() const { return *tokenizer_; }
  const Gpt& model() const { return *model_; }
  ParameterStore& parameters() { return store_; }
  Optimizer& optimizer() { return *optimizer_; }
  /// Before the first step: every rank takes the weights, moments and count of steps of rank 0. All
  /// ranks together.
  void take_state_of_rank_0();
  /// The weights alone, at any time. All ranks together.
  void take_weights_of_rank_0();
  /// Null unless gradients are summed over ranks, or over micro-batches in order.
  const GradientReducer* reducer() const { return reducer_.get(); }
  SpikeGuard& spike_guard() { return spike_guard_; }
  Tape& tape() { return tape_; }
  /// Whether steps on a GPU may be replayed from graphs, see GpuStep.
  void set_replays(bool on) { replays_ = on; }
  /// Null on a CPU, where there is a reducer(), and before the first step.
  const GpuStep* gpu_step() const { return gpu_step_.get(); }

 private:
  void compute_shared_gradients();
  double added_losses() const;
  /// Whether GpuStep makes the steps; else they are made here, one at a time.
  bool steps_on_gpu() const { return store_.device() == Device::cuda && !reducer_; }
  StepResult step_here();
  StepResult begin_on_gpu();
  void finish_on_gpu(StepResult& result);
  void judge(StepResult& result) const;
  friend class WholeMoments;

  Config config_;
  std::unique_ptr<Tokenizer> tokenizer_;
  Corpus corpus_;
  ParameterStore store_;
  std::unique_ptr<Gpt> model_;
  std::unique_ptr<Optimizer> optimizer_;
  std::unique_ptr<BatchSampler> sampler_;
  Communicator& ranks_;
  BatchSplit split_;
  std::unique_ptr<GradientReducer> reducer_;
  SpikeGuard spike_guard_;
  Tape tape_;
  Tensor loss_;    // of a step, summed over its micro-batches
  Tensor losses_;  // f64, of each rank's rounds
  std::unique_ptr<GpuStep> gpu_step_;
  bool replays_ = true;
  Batch next_batch_;  // drawn while the GPU was at work
  int64_t next_batch_step_ = -1;
  std::deque<StepResult> pending_;  // begun, the oldest first
  std::chrono::steady_clock::time_point timed_until_;
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
