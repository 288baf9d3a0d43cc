#include "folio/train/gpu_step.h"

#include <cstring>
#include <utility>
#include <vector>

#include "folio/kernels/kernels.h"
#include "folio/tensor/copy.h"
#include "folio/tensor/error.h"

namespace folio {

/// What goes to the device for one step, written by the CPU, then read by the copy stream; and what
/// comes back.
struct GpuStep::Slot {
  Tensor tokens, values;                // pinned
  Tensor staged_tokens, staged_values;  // on the device
  Tensor outcome;                       // pinned f32 (3): loss, norm, scale
  cuda::Event here, free;               // staged; pinned memory and staging read to the end
  cuda::Event outcome_is_here;

  explicit Slot(const Shape& tokens_shape)
      : tokens(pinned_tensor(tokens_shape, DType::i32)),
        values(pinned_tensor({sizeof(cuda::StepValues) / 4}, DType::i32)),
        staged_tokens(tokens_shape, DType::i32, Device::cuda),
        staged_values({sizeof(cuda::StepValues) / 4}, DType::i32, Device::cuda),
        outcome(pinned_tensor({3}, DType::f32)) {}
};

namespace {

/// While it lives, kernels are captured so that they read what differs from step to step there.
class StepValuesOnDevice {
 public:
  explicit StepValuesOnDevice(const Tensor& values) {
    cuda::Context::get().set_step_values(static_cast<const cuda::StepValues*>(values.raw()));
  }
  ~StepValuesOnDevice() { cuda::Context::get().set_step_values(nullptr); }
  StepValuesOnDevice(const StepValuesOnDevice&) = delete;
  StepValuesOnDevice& operator=(const StepValuesOnDevice&) = delete;
};

}  // namespace

GpuStep::GpuStep(const Gpt& model, ParameterStore& store, Optimizer& optimizer, Tape& tape,
                 const Shape& batch, int64_t in_flight)
    : model_(model),
      store_(store),
      optimizer_(optimizer),
      tape_(tape),
      pool_(std::make_unique<Allocator>(cuda::device_memory())) {
  const Shape tokens{2, batch[0], batch[1]};
  tokens_ = Tensor(tokens, DType::i32, Device::cuda);
  values_ = Tensor({sizeof(cuda::StepValues) / 4}, DType::i32, Device::cuda);
  zero_ = Tensor({1}, DType::f32, Device::cuda);
  loss_ = Tensor({1}, DType::f32, Device::cuda);
  halt_ = Tensor({1}, DType::f32, Device::cuda);
  kernels_for(Device::cuda).fill(zero_, 0.0);
  kernels_for(Device::cuda).fill(halt_, 0.0);
  for (int64_t i = 0; i < in_flight; ++i) slots_.push_back(std::make_unique<Slot>(tokens));
  // The copy stream writes into memory that the compute stream may have used last.
  cuda::Context::get().synchronize();
}

GpuStep::~GpuStep() {
  try {
    cuda::Context::get().synchronize();
  } catch (const Error&) {  // a GPU that has failed says so in every call; the first one was told
  }
  // A layer may keep a table that it made in a step: then the pool must stay, as the device's own
  // do.
  static auto* const kept = new std::vector<std::unique_ptr<Allocator>>;
  if (pool_->statistics().live_blocks > 0) kept->push_back(std::move(pool_));
}

void GpuStep::gradients_and_norm(const StepSettings& settings) {
  const Shape shape{tokens_.dim(1), tokens_.dim(2)};
  const Batch batch{tokens_.view(0, shape), tokens_.view(shape.numel(), shape)};
  compute_gradients(model_, store_, tape_, batch, settings, loss_);
  optimizer_.measure_on_device();
  // norm += loss * 0: nothing, or NaN; and so for the steps that follow one with such a norm.
  const Tensor norm = optimizer_.norm_and_scale().view(0, {1});
  const Kernels& kernels = tape_.kernels();
  kernels.scale({&norm, true}, zero_, loss_);
  kernels.scale({&norm, true}, zero_, halt_);
  kernels.scale({&halt_, true}, zero_, norm);
}

void GpuStep::compute(const Batch& batch, const StepSettings& settings, double lr) {
  auto& context = cuda::Context::get();
  Slot& upload = slot(begun_);
  const auto step = static_cast<uint32_t>(settings.step);
  const bool captures = may_replay_ && begun_ >= warm_up && !gradients_graph_;
  if (captures) captured_step_ = step;
  if (begun_ >= std::ssize(slots_)) upload.free.wait();

  const Shape shape{tokens_.dim(1), tokens_.dim(2)};
  copy_tensor(upload.tokens.view(0, shape), batch.inputs);
  copy_tensor(upload.tokens.view(shape.numel(), shape), batch.targets);
  const cuda::StepValues values{
      .step_offset = step - captured_step_, .lr = lr, .optimizer_step = optimizer_.steps() + 1};
  std::memcpy(upload.values.raw(), &values, sizeof values);
  const auto bytes = [](const Tensor& tensor) { return static_cast<size_t>(tensor.bytes()); };
  cuda::upload_async(upload.staged_tokens.raw(), upload.tokens.raw(), bytes(tokens_),
                     context.copy_stream());
  cuda::upload_async(upload.staged_values.raw(), upload.values.raw(), bytes(values_),
                     context.copy_stream());
  upload.here.record(context.copy_stream());
  upload.here.hold_back(context.stream());
  copy_tensor(tokens_, upload.staged_tokens);
  copy_tensor(values_, upload.staged_values);
  upload.free.record(context.stream());

  lr_ = lr;
  {
    const AllocatorScope scope(Device::cuda, *pool_);
    if (captures) {
      const StepValuesOnDevice reads(values_);
      gradients_graph_.capture([&] { gradients_and_norm(settings); });
    }
    if (may_replay_ && gradients_graph_) {
      gradients_graph_.launch();
      optimizer_.note_measured();
    } else {
      gradients_and_norm(settings);
    }
  }
  auto* const outcome = upload.outcome.data<float>();
  cuda::download_async(outcome, loss_.raw(), sizeof(float), context.stream());
  cuda::download_async(outcome + 1, optimizer_.norm_and_scale().raw(), 2 * sizeof(float),
                       context.stream());
  upload.outcome_is_here.record(context.stream());
  ++begun_;
}

void GpuStep::update() {
  const AllocatorScope scope(Device::cuda, *pool_);
  if (!may_replay_ || !gradients_graph_) return optimizer_.update(lr_);
  if (update_graph_) {
    update_graph_.launch();
    optimizer_.skip();  // it counts the step; the graph has made it
    return;
  }
  {
    const StepValuesOnDevice reads(values_);
    update_graph_.capture([&] { optimizer_.update(lr_); });
  }
  update_graph_.launch();
}

GpuStep::Outcome GpuStep::wait() {
  const Slot& oldest = slot(waited_for_++);
  oldest.outcome_is_here.wait();
  const auto* const outcome = oldest.outcome.data<float>();
  return {outcome[0], outcome[1]};
}

void GpuStep::resume() {
  waited_for_ = begun_;
  kernels_for(Device::cuda).fill(halt_, 0.0);  // after them all: they are on the same stream
}

}  // namespace folio
