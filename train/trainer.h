// The training loop.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

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

namespace folio {

/// The tokenizer that the config asks for, made from its text. `where` begins messages.
std::unique_ptr<Tokenizer> build_tokenizer(const DataConfig& config, std::string_view text,
                                           std::string_view where);

/// What a step reports.
struct StepResult {
  int64_t step = 0;  // steps done, this one included
  double loss = 0.0;
  double lr = 0.0;
  double gradient_norm = 0.0;
  double seconds = 0.0;
  double batch_seconds = 0.0, optimizer_seconds = 0.0;  // of these, drawing the batch; the update
  int64_t tokens = 0;
};

/// A model with all that trains it: text, tokenizer, optimizer, schedule. It knows no files but the
/// text; train/run.h keeps the run directory.
class Trainer {
 public:
  /// Reads the text and builds everything. Throws Error for bad input.
  explicit Trainer(const Config& config);
  /// With the tokenizer of a run that continues: the text must be known to it.
  Trainer(const Config& config, std::unique_ptr<Tokenizer> tokenizer);

  /// One step: forward and backward of every micro-batch, then the update.
  StepResult step();
  /// Steps done so far.
  int64_t steps_done() const { return step_; }
  void set_steps_done(int64_t step) { step_ = step; }

  /// Over the validation split; max_batches as in folio::evaluate().
  Evaluation evaluate(int64_t max_batches);

  const Config& config() const { return config_; }
  const Corpus& corpus() const { return corpus_; }
  const Tokenizer& tokenizer() const { return *tokenizer_; }
  const Gpt& model() const { return *model_; }
  ParameterStore& parameters() { return store_; }
  Optimizer& optimizer() { return *optimizer_; }
  Tape& tape() { return tape_; }

 private:
  Config config_;
  std::unique_ptr<Tokenizer> tokenizer_;
  Corpus corpus_;
  ParameterStore store_;
  std::unique_ptr<Gpt> model_;
  std::unique_ptr<Optimizer> optimizer_;
  std::unique_ptr<BatchSampler> sampler_;
  Tape tape_;
  Tensor loss_;  // of a step, summed over its micro-batches
  int64_t step_ = 0;
};

}  // namespace folio
