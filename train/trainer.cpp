#include "folio/train/trainer.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <utility>

#include "folio/io/output.h"
#include "folio/kernels/kernels.h"
#include "folio/kernels/threads.h"
#include "folio/run/initial_weights.h"
#include "folio/tensor/error.h"
#include "folio/train/device.h"
#include "folio/train/precision.h"

namespace folio {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

}  // namespace

Trainer::Trainer(const Config& config) : Trainer(config, nullptr) {}

Trainer::Trainer(const Config& config, std::unique_ptr<Tokenizer> tokenizer, Communicator& ranks)
    : Trainer(config, std::move(tokenizer), ranks, computing_device(config.train.device),
              computing_type(config.train.precision,
                             multiplies_bf16(computing_device(config.train.device)))) {}

Trainer::Trainer(const Config& config, std::unique_ptr<Tokenizer> tokenizer, Communicator& ranks,
                 Device device, DType dtype)
    : config_(config),
      store_(dtype, device),
      ranks_(ranks),
      split_(config.train.batch, config.train.accumulate, config.train.reduce, ranks.size()),
      spike_guard_(config.train.spike_guard, config.train.spike_window),
      tape_(device) {
  FOLIO_CHECK(ranks.carries(device), "train.device",
              "{} ranks cannot train on GPUs: this build has no NCCL; build it with NCCL (NVIDIA's "
              "libnccl-dev), start one process, or use train.device: cpu",
              ranks.size());
  const TrainConfig& train = config_.train;
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
  if (ranks.size() == 1 && split_.rounds() == 1) return;
  losses_ = Tensor({ranks.size() * split_.rounds()}, DType::f64);
  const bool shard = config.optimizer.shard && ranks.size() > 1;
  reducer_ = std::make_unique<GradientReducer>(
      store_, ranks,
      ReducerOptions{.bucket_bytes = std::max<int64_t>(1, std::llround(train.bucket_mb * 1e6)),
                     .overlap = train.overlap,
                     .scatter = shard,
                     .unit = shard ? norm_piece : 16});
}

StepSettings Trainer::settings_of(int64_t step) const {
  const TrainConfig& train = config_.train;
  return {.seed = train.seed,
          .step = step,
          .micro_batch = split_.micro_batch(),
          .label_smoothing = train.label_smoothing};
}

// Those of the whole step, and loss_, from what this rank computes and the others do.
void Trainer::compute_shared_gradients() {
  StepSettings settings = settings_of(step_);
  settings.targets = config_.train.batch * config_.model.context;
  const auto rounds = static_cast<int64_t>(split_.rounds());
  double* losses = losses_.data<double>() + ranks_.rank() * rounds;
  for (int round = 0; round < split_.rounds(); ++round) {
    const Samples own = split_.samples(round, ranks_.rank());
    reducer_->begin({.contributors = split_.contributors(round),
                     .first = round == 0,
                     .last = round + 1 == split_.rounds()});
    losses[round] = 0.0;
    if (own.size() > 0) {
      settings.first_sample = own.begin;
      const auto watch_the_last = [&](int64_t first) {
        if (first + settings.micro_batch >= own.size()) reducer_->watch(tape_);
        return true;
      };
      folio::compute_gradients(*model_, store_, tape_, sampler_->draw(step_, own.begin, own.size()),
                               settings, loss_, watch_the_last);
      losses[round] = loss_.item();
    }
    reducer_->finish(tape_);
  }
  ranks_.all_gather(losses_, {.count = losses_.numel(), .ranks = ranks_.size()});
}

// In the order and the type in which one process adds them.
double Trainer::added_losses() const {
  const auto add = [&]<class T>(T sum) {
    for (int round = 0; round < split_.rounds(); ++round) {
      for (int rank = 0; rank < split_.contributors(round); ++rank) {
        sum += static_cast<T>(losses_.data<double>()[rank * split_.rounds() + round]);
      }
    }
    return static_cast<double>(sum);
  };
  return loss_.dtype() == DType::f32 ? add(0.0F) : add(0.0);
}

int64_t Trainer::most_in_flight() const {
  const TrainConfig& train = config_.train;
  return steps_on_gpu() && train.spike_guard == 0.0 ? train.steps_in_flight : 1;
}

StepResult Trainer::step() {
  FOLIO_CHECK(pending_.empty(), "train", "{} steps are in flight; finish them first", in_flight());
  begin_step();
  return finish_step();
}

void Trainer::begin_step() {
  FOLIO_CHECK(in_flight() < most_in_flight(), "train", "{} steps are in flight; finish one first",
              in_flight());
  if (pending_.empty()) timed_until_ = Clock::now();
  pending_.push_back(steps_on_gpu() ? begin_on_gpu() : step_here());
}

StepResult Trainer::finish_step() {
  FOLIO_CHECK(!pending_.empty(), "train", "no step is in flight; begin one first");
  StepResult result = std::move(pending_.front());
  pending_.pop_front();
  if (steps_on_gpu()) finish_on_gpu(result);
  // From the end of the step before, where that was in flight too: the sum is the time it all took.
  const auto now = Clock::now();
  result.seconds = std::chrono::duration<double>(now - timed_until_).count();
  timed_until_ = now;
  return result;
}

StepResult Trainer::step_here() {
  const auto start = Clock::now();
  StepResult result;
  // As late as here, so that a run that continues has loaded whole moments.
  if (reducer_ && reducer_->options().scatter && !optimizer_->sharded()) {
    optimizer_->shard(reducer_->own_ranges(), [this](const Tensor& x) { ranks_.all_reduce(x); });
  }
  ranks_.set_step(step_ + 1);
  if (reducer_) {
    compute_shared_gradients();
    result.loss = added_losses();
  } else {
    const Batch batch = batch_of(step_);
    result.batch_seconds = seconds_since(start);
    compute_gradients(*model_, store_, tape_, batch, settings_of(step_), loss_);
    result.loss = loss_.item();
  }
  result.lr = config_.schedule(step_);
  result.step = ++step_;
  result.tokens = config_.train.batch * config_.model.context;
  const auto update = Clock::now();
  result.gradient_norm = optimizer_->measure();
  judge(result);
  if (result.refusal == Refusal::none) {
    optimizer_->update(result.lr);
    if (optimizer_->sharded()) {
      reducer_->gather(store_.values());
      store_.masters_changed();
    }
    spike_guard_.accept(result.gradient_norm);
  } else {
    optimizer_->skip();
  }
  result.optimizer_seconds = seconds_since(update);
  return result;
}

/// The host waits for nothing, and draws the next batch meanwhile. Without a spike guard the update
/// is on its way before the norm is known here: the GPU refuses it itself.
StepResult Trainer::begin_on_gpu() {
  const auto start = Clock::now();
  StepResult result;
  const bool drawn = std::exchange(next_batch_step_, -1) == step_;
  const Batch batch = drawn ? std::move(next_batch_) : batch_of(step_);
  result.batch_seconds = seconds_since(start);
  if (!gpu_step_) {
    gpu_step_ = std::make_unique<GpuStep>(*model_, store_, *optimizer_, tape_, batch.inputs.shape(),
                                          most_in_flight());
  }
  gpu_step_->set_replays(replays_);
  result.lr = config_.schedule(step_);
  result.tokens = batch.targets.numel();
  gpu_step_->compute(batch, settings_of(step_), result.lr);
  if (config_.train.spike_guard == 0.0) gpu_step_->update();
  result.step = ++step_;
  if (step_ < config_.train.steps) {
    next_batch_ = batch_of(step_);
    next_batch_step_ = step_;
  }
  return result;
}

void Trainer::finish_on_gpu(StepResult& result) {
  const auto [loss, norm] = gpu_step_->wait();
  result.loss = loss;
  result.gradient_norm = norm;
  judge(result);
  const bool guarded = config_.train.spike_guard > 0.0;
  if (result.refusal == Refusal::none) {
    if (guarded) gpu_step_->update();
    spike_guard_.accept(norm);
    return;
  }
  if (guarded) optimizer_->skip();
  gpu_step_->resume();  // from here: steps begun since were refused with it
  optimizer_->set_steps(optimizer_->steps() - in_flight());
  step_ = result.step;
  pending_.clear();
}

void Trainer::judge(StepResult& result) const {
  const double norm = result.gradient_norm;
  if (!std::isfinite(result.loss) || !std::isfinite(norm)) {
    result.refusal = Refusal::not_finite;
    result.reason = fmt::format("the loss is {} and the gradient norm {}",
                                short_number(result.loss), short_number(norm));
  } else if (spike_guard_.is_spike(norm)) {
    result.refusal = Refusal::spike;
    result.reason = fmt::format("the gradient norm is {}, a spike of z-score {}",
                                short_number(norm), short_number(spike_guard_.z_score(norm)));
  }
}

Evaluation Trainer::evaluate(int64_t max_batches) {
  const int64_t micro_batch = config_.train.batch / config_.train.accumulate;
  return folio::evaluate(*model_, tape_, corpus_.validation(), micro_batch, max_batches, ranks_);
}

void Trainer::take_weights_of_rank_0() {
  ranks_.broadcast(store_.values());
  store_.masters_changed();
}

void Trainer::take_state_of_rank_0() {
  take_weights_of_rank_0();
  for (const OptimizerState& state : optimizer_->state()) ranks_.broadcast(state.slab);
  const Tensor steps = Tensor::from<double>(
      {2}, {static_cast<double>(step_), static_cast<double>(optimizer_->steps())});
  ranks_.broadcast(steps);
  step_ = static_cast<int64_t>(steps.data<double>()[0]);
  optimizer_->set_steps(static_cast<int64_t>(steps.data<double>()[1]));
}

WholeMoments::WholeMoments(Trainer& trainer)
    : optimizer_(trainer.optimizer()), own_(optimizer_.state()) {
  if (!optimizer_.sharded()) return;
  for (OptimizerState& state : optimizer_.state()) {
    state.slab = trainer.reducer_->gather_packed(state.slab);
  }
}

WholeMoments::~WholeMoments() { optimizer_.state() = std::move(own_); }

}  // namespace folio
