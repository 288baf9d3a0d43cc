#include "folio/inspect/plan_gpu.h"

#include <algorithm>
#include <atomic>
#include <string_view>

#include "folio/autograd/observer.h"
#include "folio/kernels/cuda/gemm.h"
#include "folio/kernels/kernels.h"
#include "folio/models/gpt.h"
#include "folio/optim/optimizer.h"
#include "folio/tensor/cuda.h"
#include "folio/train/step_gradients.h"

namespace folio {
namespace {

/// Addresses that nobody will use.
void* next_address(size_t bytes) {
  constexpr uintptr_t alignment = 4096;
  static std::atomic<uintptr_t> next = uintptr_t{1} << 46;
  return reinterpret_cast<void*>(next.fetch_add((bytes / alignment + 1) * alignment));
}

const MemorySource no_memory{"a plan", next_address, [](void*) {}};

/// What is live when the loss has been computed.
class AtTheLoss : public TapeObserver {
 public:
  explicit AtTheLoss(const Allocator& pool) : pool_(pool) {}
  void after_forward(const char* op, std::span<const Variable>,
                     std::span<const Variable>) override {
    if (std::string_view(op) != "cross_entropy") return;
    bytes_ = static_cast<int64_t>(pool_.statistics().live_bytes);
  }
  void before_backward(const char*, std::span<GradSlot* const>) override {}
  void after_backward(const char*, std::span<GradSlot* const>,
                      std::span<GradSlot* const>) override {}
  int64_t bytes() const { return bytes_; }

 private:
  const Allocator& pool_;
  int64_t bytes_ = 0;
};

int64_t reserved(const Allocator& pool) {
  return static_cast<int64_t>(pool.statistics().reserved_bytes);
}

/// A model whose parameters lie nowhere.
class DryModel {
 public:
  DryModel(const Config& config, DType type)
      : config_(config), parameters_(type, Device::cuda), model_(Scope(parameters_), config.model) {
    const TrainConfig& train = config.train;
    settings_ = {.micro_batch = train.batch / train.accumulate,
                 .label_smoothing = train.label_smoothing};
    parameters_.allocate(true);
    optimizer_ = std::make_unique<Optimizer>(parameters_, config.optimizer);
    loss_ = Tensor({1}, DType::f32, Device::cuda);
    tokens_ = Tensor({train.batch, config.model.context}, DType::i32, Device::cuda);
  }

  /// As GpuStep makes one.
  void step(TapeObserver* observer) {
    Tape tape(Device::cuda);
    tape.set_observer(observer);
    compute_gradients(model_, parameters_, tape, {tokens_, tokens_}, settings_, loss_);
    optimizer_->measure_on_device();
    optimizer_->update(0.0);
  }

  /// As evaluate() does a batch.
  void evaluate() {
    Tape tape(Device::cuda);
    const NoRecording no_recording(tape);
    const Tensor tokens({settings_.micro_batch, config_.model.context}, DType::i32);
    std::fill_n(tokens.data<int32_t>(), tokens.numel(), 0);
    model_.loss(tape, tokens, tokens, 0.0, tokens.numel());
  }

  /// As a sample does at each of its tokens.
  void sample() {
    Tape tape(Device::cuda);
    const NoRecording no_recording(tape);
    KeyValueCache cache = model_.new_cache(1);
    const Tensor token = Tensor::from<int32_t>({1, 1}, {0});
    for (int i = 0; i < 2; ++i) model_.next_logits(tape, token, cache);
  }

  /// Attention, forward and backward, of one micro-batch.
  void attention(Allocator& pool) {
    const GptConfig& model = config_.model;
    const int64_t batch = settings_.micro_batch, length = model.context;
    const Kernels& kernels = kernels_for(Device::cuda);
    const auto tensor = [&](int64_t columns) {
      return Tensor({batch, length, columns}, parameters_.dtype(), Device::cuda);
    };
    const AttentionShape shape{
        batch, model.heads,           length, length, model.width / model.heads, true,
        1.0,   {model.dropout, {}, 0}};
    const Tensor qkv = tensor(3 * model.width), dqkv = tensor(3 * model.width),
                 y = tensor(model.width), dy = tensor(model.width),
                 log_sum({batch, model.heads, length}, DType::f32, Device::cuda);
    const int64_t k = model.width, v = 2 * model.width;
    const GradTarget d{&dqkv, false};
    const AllocatorScope scope(Device::cuda, pool);
    kernels.attention_forward(y, log_sum, {&qkv, 0}, {&qkv, k}, {&qkv, v}, Tensor(), shape);
    kernels.attention_backward({d, 0}, {d, k}, {d, v}, {&qkv, 0}, {&qkv, k}, {&qkv, v}, Tensor(), y,
                               log_sum, dy, shape);
  }

 private:
  const Config& config_;
  ParameterStore parameters_;
  Gpt model_;
  std::unique_ptr<Optimizer> optimizer_;
  StepSettings settings_;
  Tensor loss_, tokens_;
};

}  // namespace

std::vector<PlanLine> gpu_memory(const Config& config, DType type) {
  kernels_for(Device::cuda);  // or the reason why there is none
  const cuda::DryRun dry;
  Allocator resident(no_memory), observed(no_memory), step(no_memory), attention(no_memory),
      between(no_memory);
  const AllocatorScope scope(Device::cuda, resident);
  AtTheLoss at_the_loss(observed);  // who looks keeps tensors longer: not in the pool that counts
  {
    DryModel model(config, type);
    const AllocatorScope inner(Device::cuda, observed);
    model.step(&at_the_loss);
  }
  DryModel model(config, type);
  for (int i = 0; i < 2; ++i) {
    const AllocatorScope inner(Device::cuda, step);
    model.step(nullptr);
  }
  model.attention(attention);
  {
    const AllocatorScope inner(Device::cuda, between);
    if (config.train.eval_every > 0 && config.data.validation_fraction > 0.0) model.evaluate();
    if (!config.train.sample_at.empty()) model.sample();
  }
  const int64_t tokens = config.train.batch * config.model.context;
  const auto value = static_cast<int64_t>(size_of(type)),
             token_bytes = static_cast<int64_t>(size_of(DType::i32));
  const int64_t logits = 2 * tokens / config.train.accumulate * config.model.vocabulary * value;
  const int64_t kept = std::max<int64_t>(0, at_the_loss.bytes() - logits);
  const int64_t rest = reserved(step) - kept - logits - reserved(attention);
  // Inputs and targets: in their place, and staged for each step in flight.
  const int64_t slots = 1 + (config.train.spike_guard > 0.0 ? 1 : config.train.steps_in_flight);
  return {{"activations kept for the backward pass", kept},
          {"logits and their gradient", logits},
          {"attention's masks and workspace", reserved(attention)},
          {"gradients of activations, scratch", std::max<int64_t>(0, rest)},
          {"validation and samples between steps", reserved(between)},
          {"batches on the GPU", slots * 2 * tokens * token_bytes},
          {"workspace of matrix products", cuda::gemm_workspace_bytes}};
}

}  // namespace folio
