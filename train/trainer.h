// The training loop.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>

#include "folio/autograd/parameters.h"
#include "folio/autograd/tape.h"
#include "folio/data/batches.h"
#include "folio/data/corpus.h"
#include "folio/data/tokenizer.h"
#include "folio/layers/gpt.h"
#include "folio/optim/optimizer.h"
#include "folio/train/checkpoint.h"
#include "folio/train/config.h"
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
/// text; train/run.h keeps the run directory.
class Trainer {
 public:
  /// Reads the text and builds everything. Throws Error for bad input.
  explicit Trainer(const Config& config);
  /// With the tokenizer of a run that continues: the text must be known to it.
  Trainer(const Config& config, std::unique_ptr<Tokenizer> tokenizer);

  /// One step: forward and backward of every micro-batch, then the update. Where that is refused,
  /// weights and moments keep their bits, and the step counts all the same.
  StepResult step();
  /// Steps done so far.
  int64_t steps_done() const { return step_; }
  void set_steps_done(int64_t step) { step_ = step; }
  /// Samples drawn so far; the next step draws from this one on.
  int64_t samples_drawn() const { return step_ * config_.train.batch; }

  /// What the gradients of a step (counted from 0) depend on besides the weights.
  StepSettings settings_of(int64_t step) const;
  /// The step's whole batch, (B, T).
  Batch batch_of(int64_t step) const { return sampler_->draw(step, 0, config_.train.batch); }

  /// Over the validation split; max_batches as in folio::evaluate().
  Evaluation evaluate(int64_t max_batches);

  const Config& config() const { return config_; }
  const Corpus& corpus() const { return corpus_; }
  const Tokenizer& tokenizer() const { return *tokenizer_; }
  const Gpt& model() const { return *model_; }
  ParameterStore& parameters() { return store_; }
  Optimizer& optimizer() { return *optimizer_; }
  SpikeGuard& spike_guard() { return spike_guard_; }
  Tape& tape() { return tape_; }
  /// Null on a CPU, and before the first step.
  const GpuStep* gpu_step() const { return gpu_step_.get(); }

 private:
  Trainer(const Config& config, std::unique_ptr<Tokenizer> tokenizer, Device device);
  StepResult step_on_gpu();
  void judge(StepResult& result) const;

  Config config_;
  std::unique_ptr<Tokenizer> tokenizer_;
  Corpus corpus_;
  ParameterStore store_;
  std::unique_ptr<Gpt> model_;
  std::unique_ptr<Optimizer> optimizer_;
  std::unique_ptr<BatchSampler> sampler_;
  SpikeGuard spike_guard_;
  Tape tape_;
  Tensor loss_;  // of a step, summed over its micro-batches
  std::unique_ptr<GpuStep> gpu_step_;
  Batch next_batch_;                 // drawn while the GPU was at work
  int64_t next_batch_step_ = -1;
  int64_t step_ = 0;
};

}  // namespace folio
