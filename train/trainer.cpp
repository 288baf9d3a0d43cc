#include "folio/train/trainer.h"

#include <chrono>

#include "folio/kernels/kernels.h"
#include "folio/kernels/threads.h"
#include "folio/tensor/error.h"

namespace folio {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

}  // namespace

std::unique_ptr<Tokenizer> build_tokenizer(const DataConfig& config, std::string_view text,
                                           std::string_view where) {
  FOLIO_CHECK(config.tokenizer == "char", "data.tokenizer", "{} is not known; use char",
              config.tokenizer);
  return CharTokenizer::build(text, config.unknown, where);
}

Trainer::Trainer(const Config& config) : Trainer(config, nullptr) {}

Trainer::Trainer(const Config& config, std::unique_ptr<Tokenizer> tokenizer)
    : config_(config), tokenizer_(std::move(tokenizer)) {
  const TrainConfig& train = config_.train;
  FOLIO_CHECK(train.accumulate >= 1 && train.batch >= 1 && train.batch % train.accumulate == 0,
              "train.accumulate", "{} micro-batches do not divide train.batch, {}",
              train.accumulate, train.batch);
  set_threads(static_cast<int>(train.threads));
  const std::filesystem::path path = find_text(config_.data.text);
  {
    const std::string text = read_file(path);
    if (!tokenizer_) tokenizer_ = build_tokenizer(config_.data, text, path.string());
    corpus_ = make_corpus(path, text, *tokenizer_, config_.data.validation_fraction,
                          config_.model.context);
  }
  config_.model.vocabulary = tokenizer_->vocabulary();
  model_ = std::make_unique<Gpt>(Scope(store_), config_.model);
  store_.initialize(train.seed);
  optimizer_ = std::make_unique<Optimizer>(store_, config_.optimizer);
  sampler_ = std::make_unique<BatchSampler>(corpus_.train(), train.batch, config_.model.context,
                                            config_.data.sampling, train.seed);
  loss_ = Tensor({1}, store_.dtype(), store_.device());
}

StepResult Trainer::step() {
  const auto start = Clock::now();
  StepResult result;
  const TrainConfig& train = config_.train;
  const int64_t micro_batch = train.batch / train.accumulate;
  const int64_t tokens = train.batch * config_.model.context;  // a step's, all of them targets
  tape_.set_recording(true);
  tape_.set_training(true);
  store_.start_gradients();
  for (int64_t first = 0; first < train.batch; first += micro_batch) {
    tape_.set_context({.seed = train.seed,
                       .step = static_cast<uint32_t>(step_),
                       .first_sample = first});
    const auto draw = Clock::now();
    const Batch batch = sampler_->draw(step_, first, micro_batch);
    result.batch_seconds += seconds_since(draw);
    const Variable loss =
        model_->loss(tape_, batch.inputs, batch.targets, train.label_smoothing, tokens);
    tape_.kernels().copy({&loss_, first > 0}, loss.value);
    tape_.backward(loss);
    tape_.clear();
  }
  result.lr = config_.schedule(step_);
  const auto update = Clock::now();
  optimizer_->step(result.lr);
  result.optimizer_seconds = seconds_since(update);
  result.step = ++step_;
  result.loss = loss_.item();
  result.gradient_norm = optimizer_->gradient_norm();
  result.tokens = tokens;
  result.seconds = seconds_since(start);
  return result;
}

Evaluation Trainer::evaluate(int64_t max_batches) {
  const int64_t micro_batch = config_.train.batch / config_.train.accumulate;
  return folio::evaluate(*model_, tape_, corpus_.validation(), micro_batch, max_batches);
}

}  // namespace folio
