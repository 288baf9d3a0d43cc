#include "folio/train/trainer.h"

#include <utility>

#include "folio/kernels/kernels.h"
#include "folio/kernels/process.h"
#include "folio/run/initial_weights.h"
#include "folio/tensor/error.h"
#include "folio/train/device_choice.h"
#include "folio/train/precision.h"

namespace folio {

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
  FOLIO_CHECK(ranks.supports(device), "train.device",
              "{} ranks cannot train on GPUs because this build has no NCCL; build with NCCL "
              "(NVIDIA's libnccl-dev), start one process, or use train.device: cpu",
              ranks.size());
  const TrainConfig& train = config_.train;
  set_threads(static_cast<int>(train.threads));
  choose_tf32(train.precision, device);
  task_ = make_task(config_);
  if (!tokenizer) tokenizer = initial_tokenizer(config_);
  tokenizer_ = task_->open(std::move(tokenizer));
  source_ = task_->source(Split::train);
  validation_ = task_->source(Split::validation);
  model_ = make_model(config_, Scope(store_), tokenizer_->vocabulary());
  store_.initialize(train.seed);
  optimizer_ = std::make_unique<Optimizer>(store_, config_.optimizer);
  const StepParts parts = this->parts();
  if (ranks.size() > 1 || split_.rounds() > 1) {
    runner_ = over_ranks(parts, config_.optimizer.shard && ranks.size() > 1);
  } else {
    runner_ = device == Device::cuda ? on_gpu(parts) : on_host(parts);
  }
}

StepParts Trainer::parts() {
  return {.config = config_.train,
          .task = *task_,
          .source = *source_,
          .model = *model_,
          .parameters = store_,
          .optimizer = *optimizer_,
          .tape = tape_,
          .spike_guard = spike_guard_,
          .split = split_,
          .ranks = ranks_};
}

StepResult Trainer::step() {
  FOLIO_CHECK(in_flight_ == 0, "train", "{} steps are in flight; finish them first", in_flight_);
  begin_step();
  return finish_step();
}

void Trainer::begin_step() {
  FOLIO_CHECK(in_flight_ < most_in_flight(), "train", "{} steps are in flight; finish one first",
              in_flight_);
  if (in_flight_ == 0) timed_until_ = std::chrono::steady_clock::now();
  task_->before_step(*model_, step_);
  runner_->begin(step_, config_.schedule(step_));
  ++step_;
  ++in_flight_;
}

StepResult Trainer::finish_step() {
  FOLIO_CHECK(in_flight_ > 0, "train", "no step is in flight; begin one first");
  StepResult result = runner_->finish();
  --in_flight_;
  if (result.refusal != Refusal::none) {  // the runner has discarded the later steps
    step_ = result.step;
    in_flight_ = 0;
  }
  // Steps in flight overlap, so each is timed from the end of the previous one.
  const auto now = std::chrono::steady_clock::now();
  result.seconds = std::chrono::duration<double>(now - timed_until_).count();
  timed_until_ = now;
  return result;
}

Evaluation Trainer::evaluate(int64_t max_batches) {
  FOLIO_CHECK(validation_, "evaluate", "there is no validation split");
  return folio::evaluate(*task_, *model_, tape_, *validation_, split_.micro_batch(), max_batches,
                         ranks_);
}

void Trainer::broadcast_weights() {
  ranks_.broadcast(store_.values());
  store_.masters_changed();
}

void Trainer::broadcast_state() {
  broadcast_weights();
  for (const OptimizerState& state : optimizer_->state()) ranks_.broadcast(state.slab);
  const Tensor steps = Tensor::from<double>({1}, {static_cast<double>(step_)});
  ranks_.broadcast(steps);
  step_ = static_cast<int64_t>(steps.data<double>()[0]);
}

UnshardedState::UnshardedState(Trainer& trainer)
    : optimizer_(trainer.optimizer()), own_(optimizer_.state()) {
  if (!optimizer_.sharded()) return;
  for (OptimizerState& state : optimizer_.state()) {
    state.slab = trainer.runner().reducer()->gather_packed(state.slab);
  }
}

UnshardedState::~UnshardedState() { optimizer_.state() = std::move(own_); }

}  // namespace folio
