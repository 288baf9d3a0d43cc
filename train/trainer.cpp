#include "folio/train/trainer.h"

#include <chrono>
#include <cmath>

#include "folio/kernels/kernels.h"
#include "folio/kernels/threads.h"
#include "folio/tensor/error.h"
#include "folio/train/device.h"
#include "folio/train/output.h"
#include "folio/train/precision.h"
#include "folio/train/tokenized_text.h"

namespace folio {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

}  // namespace

Trainer::Trainer(const Config& config) : Trainer(config, nullptr) {}

Trainer::Trainer(const Config& config, std::unique_ptr<Tokenizer> tokenizer)
    : Trainer(config, std::move(tokenizer), computing_device(config.train.device)) {}

Trainer::Trainer(const Config& config, std::unique_ptr<Tokenizer> tokenizer, Device device)
    : config_(config),
      store_(computing_type(config.train.precision, multiplies_bf16(device)), device),
      spike_guard_(config.train.spike_guard, config.train.spike_window),
      tape_(device) {
  const TrainConfig& train = config_.train;
  FOLIO_CHECK(train.accumulate >= 1 && train.batch >= 1 && train.batch % train.accumulate == 0,
              "train.accumulate", "{} micro-batches do not divide train.batch, {}",
              train.accumulate, train.batch);
  set_threads(static_cast<int>(train.threads));
  choose_tf32(train.precision, device);
  TokenizedText text = tokenize_text(config_, std::move(tokenizer));
  tokenizer_ = std::move(text.tokenizer);
  corpus_ = std::move(text.corpus);
  config_.model.vocabulary = tokenizer_->vocabulary();
  model_ = std::make_unique<Gpt>(Scope(store_), config_.model);
  store_.initialize(train.seed);
  optimizer_ = std::make_unique<Optimizer>(store_, config_.optimizer);
  sampler_ = std::make_unique<BatchSampler>(corpus_.train(), train.batch, config_.model.context,
                                            config_.data.sampling, train.seed);
  loss_ = Tensor({1}, accumulator_of(store_.dtype()), store_.device());
}

StepSettings Trainer::settings_of(int64_t step) const {
  const TrainConfig& train = config_.train;
  return {.seed = train.seed,
          .step = step,
          .micro_batch = train.batch / train.accumulate,
          .label_smoothing = train.label_smoothing};
}

StepResult Trainer::step() {
  if (store_.device() == Device::cuda) return step_on_gpu();
  const auto start = Clock::now();
  StepResult result;
  const Batch batch = batch_of(step_);
  result.batch_seconds = seconds_since(start);
  compute_gradients(*model_, store_, tape_, batch, settings_of(step_), loss_);
  result.lr = config_.schedule(step_);
  result.step = ++step_;
  result.loss = loss_.item();
  result.tokens = batch.targets.numel();
  const auto update = Clock::now();
  result.gradient_norm = optimizer_->measure();
  judge(result);
  if (result.refusal == Refusal::none) {
    optimizer_->update(result.lr);
    spike_guard_.accept(result.gradient_norm);
  } else {
    optimizer_->skip();
  }
  result.optimizer_seconds = seconds_since(update);
  result.seconds = seconds_since(start);
  return result;
}

/// As above, but that the host waits only at the end, and draws the next batch meanwhile. Without a
/// spike guard the update is on its way before the norm is known here: the GPU refuses it itself.
StepResult Trainer::step_on_gpu() {
  const auto start = Clock::now();
  StepResult result;
  const Batch batch = next_batch_step_ == step_ ? std::move(next_batch_) : batch_of(step_);
  result.batch_seconds = seconds_since(start);
  if (!gpu_step_) {
    gpu_step_ = std::make_unique<GpuStep>(*model_, store_, *optimizer_, tape_, batch.inputs.shape());
  }
  result.lr = config_.schedule(step_);
  result.tokens = batch.targets.numel();
  const bool guarded = config_.train.spike_guard > 0.0;
  gpu_step_->compute(batch, settings_of(step_), result.lr);
  if (!guarded) gpu_step_->update();
  result.step = ++step_;
  if (step_ < config_.train.steps) {
    next_batch_ = batch_of(step_);
    next_batch_step_ = step_;
  }
  const auto [loss, norm] = gpu_step_->wait();
  result.loss = loss;
  result.gradient_norm = norm;
  judge(result);
  if (guarded && result.refusal != Refusal::none) optimizer_->skip();
  if (guarded && result.refusal == Refusal::none) gpu_step_->update();
  if (result.refusal == Refusal::none) spike_guard_.accept(norm);
  result.seconds = seconds_since(start);
  return result;
}

void Trainer::judge(StepResult& result) const {
  const double norm = result.gradient_norm;
  if (!std::isfinite(result.loss) || !std::isfinite(norm)) {
    result.refusal = Refusal::not_finite;
    result.reason = fmt::format("the loss is {} and the gradient norm {}",
                                short_number(result.loss), short_number(norm));
  } else if (spike_guard_.is_spike(norm)) {
    result.refusal = Refusal::spike;
    result.reason = fmt::format("the gradient norm is {}, a spike of z-score {}", short_number(norm),
                                short_number(spike_guard_.z_score(norm)));
  }
}

Evaluation Trainer::evaluate(int64_t max_batches) {
  const int64_t micro_batch = config_.train.batch / config_.train.accumulate;
  return folio::evaluate(*model_, tape_, corpus_.validation(), micro_batch, max_batches);
}

}  // namespace folio
