#include "folio/train/gpu_step.h"

#include <chrono>
#include <cstring>
#include <utility>
#include <vector>

#include "folio/kernels/cuda/step_values.h"
#include "folio/kernels/kernels.h"
#include "folio/tensor/copy.h"
#include "folio/tensor/error.h"

namespace folio {

/// The inputs and results of one step in flight.
struct GpuStep::Slot {
  Batch pinned, staged;  // on the host; on the device
  Tensor pinned_values{pinned_tensor({sizeof(cuda::StepValues) / 4}, DType::i32)};
  Tensor staged_values{{sizeof(cuda::StepValues) / 4}, DType::i32, Device::cuda};
  Tensor outcome{pinned_tensor({3}, DType::f32)};  // loss, norm, scale
  cuda::Event uploaded;                            // `staged` has been written
  cuda::Event reusable;                            // `pinned` and `staged` have been read
  cuda::Event downloaded;                          // `outcome` has been written
  StepResult result;

  explicit Slot(const Batch& batch) {
    for (const auto& [name, tensor, transposed] : batch.tensors) {
      pinned.tensors.push_back({name, pinned_tensor(tensor.shape(), tensor.dtype())});
      staged.tensors.push_back({name, Tensor(tensor.shape(), tensor.dtype(), Device::cuda)});
    }
  }
};

namespace {

using Clock = std::chrono::steady_clock;

size_t bytes_of(const Tensor& tensor) { return static_cast<size_t>(tensor.bytes()); }

}  // namespace

GpuStep::GpuStep(const StepParts& parts)
    : parts_(parts), pool_(std::make_unique<Allocator>(cuda::device_memory())) {
  values_ = Tensor({sizeof(cuda::StepValues) / 4}, DType::i32, Device::cuda);
  zero_ = Tensor({1}, DType::f32, Device::cuda);
  loss_ = Tensor({1}, DType::f32, Device::cuda);
  halt_ = Tensor({1}, DType::f32, Device::cuda);
  kernels_for(Device::cuda).fill(zero_, 0.0);
  kernels_for(Device::cuda).fill(halt_, 0.0);
}

GpuStep::~GpuStep() {
  try {
    cuda::Context::get().synchronize();
  } catch (const Error&) {  // the failure of the GPU was already reported by an earlier call
  }
  // A layer may keep a table that it made in a step. The pool must then outlive this.
  static auto* const kept = new std::vector<std::unique_ptr<Allocator>>;
  if (pool_->statistics().live_blocks > 0) kept->push_back(std::move(pool_));
}

int64_t GpuStep::most_in_flight() const { return guarded() ? 1 : parts_.config.steps_in_flight; }

void GpuStep::allocate(const Batch& batch) {
  for (const auto& [name, tensor, transposed] : batch.tensors) {
    batch_.tensors.push_back({name, Tensor(tensor.shape(), tensor.dtype(), Device::cuda)});
  }
  for (int64_t i = 0; i < most_in_flight(); ++i) slots_.push_back(std::make_unique<Slot>(batch));
  // The compute stream may still use the memory that the copy stream will write.
  cuda::Context::get().synchronize();
}

void GpuStep::gradients_and_norm(const StepSettings& settings) {
  auto& [config, task, source, model, parameters, optimizer, tape, spike_guard, split, ranks] =
      parts_;
  compute_gradients(task, model, parameters, tape, batch_, settings, loss_);
  optimizer.measure_on_device();
  // norm += loss * 0 makes the norm NaN if the loss is not finite. Through halt_, the norms of all
  // later steps become NaN too.
  const Tensor norm = optimizer.norm_and_scale().view(0, {1});
  const Kernels& kernels = tape.kernels();
  kernels.scale({&norm, true}, zero_, loss_);
  kernels.scale({&norm, true}, zero_, halt_);
  kernels.scale({&halt_, true}, zero_, norm);
}

void GpuStep::upload(const Batch& batch, int64_t step, double lr) {
  auto& context = cuda::Context::get();
  Slot& to = slot(begun_);
  if (begun_ >= std::ssize(slots_)) to.reusable.wait();
  const cuda::StepValues values{.step_offset = static_cast<uint32_t>(step) - captured_step_,
                                .lr = lr,
                                .optimizer_step = step + 1};
  std::memcpy(to.pinned_values.raw(), &values, sizeof values);
  const auto send = [&](const Tensor& staged, const Tensor& pinned) {
    cuda::upload_async(staged.raw(), pinned.raw(), bytes_of(staged), context.copy_stream());
  };
  for (size_t i = 0; i < batch_.tensors.size(); ++i) {
    const NamedTensor& from = batch.tensors[i];
    FOLIO_CHECK(from.name == batch_.tensors[i].name, "train",
                "the batch has \"{}\" instead of \"{}\"; all batches must have the same tensors",
                from.name, batch_.tensors[i].name);
    copy_tensor(to.pinned.tensors[i].tensor, from.tensor);
    send(to.staged.tensors[i].tensor, to.pinned.tensors[i].tensor);
  }
  send(to.staged_values, to.pinned_values);
  to.uploaded.record(context.copy_stream());
  to.uploaded.block(context.stream());
  for (size_t i = 0; i < batch_.tensors.size(); ++i) {
    copy_tensor(batch_.tensors[i].tensor, to.staged.tensors[i].tensor);
  }
  copy_tensor(values_, to.staged_values);
  to.reusable.record(context.stream());
}

void GpuStep::compute(const Batch& batch, int64_t step, double lr) {
  StepSettings settings = parts_.settings(step);
  settings.targets = parts_.task.targets(batch);
  const bool captures = may_replay_ && begun_ >= warm_up && !gradients_graph_;
  if (captures) {
    captured_step_ = static_cast<uint32_t>(step);
    captured_targets_ = settings.targets;
  }
  upload(batch, step, lr);
  {
    const AllocatorScope scope(Device::cuda, *pool_);
    if (captures) {
      const cuda::StepValuesScope reads(static_cast<const cuda::StepValues*>(values_.raw()));
      gradients_graph_.capture([&] { gradients_and_norm(settings); });
    }
    // The number of targets, by which the loss is divided, is part of the graph.
    if (may_replay_ && gradients_graph_ && settings.targets == captured_targets_) {
      gradients_graph_.launch();
      parts_.optimizer.note_measured();
    } else {
      gradients_and_norm(settings);
    }
  }
  auto& context = cuda::Context::get();
  Slot& from = slot(begun_);
  auto* const outcome = from.outcome.data<float>();
  cuda::download_async(outcome, loss_.raw(), sizeof(float), context.stream());
  cuda::download_async(outcome + 1, parts_.optimizer.norm_and_scale().raw(), 2 * sizeof(float),
                       context.stream());
  from.downloaded.record(context.stream());
}

void GpuStep::update(int64_t step, double lr) {
  const AllocatorScope scope(Device::cuda, *pool_);
  Optimizer& optimizer = parts_.optimizer;
  if (!may_replay_ || !gradients_graph_) return optimizer.update(step, lr);
  if (update_graph_) {
    update_graph_.launch();
    optimizer.discard_gradients();  // the host's state only; the graph has used them
    return;
  }
  {
    const cuda::StepValuesScope reads(static_cast<const cuda::StepValues*>(values_.raw()));
    update_graph_.capture([&] { optimizer.update(step, lr); });
  }
  update_graph_.launch();
}

void GpuStep::begin(int64_t step, double lr) {
  const auto start = Clock::now();
  StepResult result{.step = step + 1, .lr = lr};
  const bool drawn = std::exchange(next_batch_step_, -1) == step;
  const TrainConfig& config = parts_.config;
  const Batch batch = drawn ? std::move(next_batch_) : parts_.source.draw(step, 0, config.batch);
  result.batch_seconds = std::chrono::duration<double>(Clock::now() - start).count();
  result.tokens = parts_.task.tokens(batch);
  if (slots_.empty()) allocate(batch);
  compute(batch, step, lr);
  slot(begun_).result = std::move(result);
  ++begun_;
  // Without a spike guard, the update is enqueued before the host knows the norm.
  if (!guarded()) update(step, lr);
  if (step + 1 < config.steps) {
    next_batch_ = parts_.source.draw(step + 1, 0, config.batch);
    next_batch_step_ = step + 1;
  }
}

StepResult GpuStep::finish() {
  Slot& oldest = slot(finished_++);
  oldest.downloaded.wait();
  StepResult result = std::move(oldest.result);
  result.loss = oldest.outcome.data<float>()[0];
  result.gradient_norm = oldest.outcome.data<float>()[1];
  judge(result, parts_.spike_guard);
  if (result.refusal == Refusal::none) {
    if (guarded()) update(result.step - 1, result.lr);
    parts_.spike_guard.accept(result.gradient_norm);
  } else {
    if (guarded()) parts_.optimizer.discard_gradients();
    resume();
  }
  return result;
}

void GpuStep::resume() {
  finished_ = begun_;
  kernels_for(Device::cuda).fill(halt_, 0.0);  // enqueued after those steps
}

std::unique_ptr<StepRunner> on_gpu(const StepParts& parts) {
  return std::make_unique<GpuStep>(parts);
}

}  // namespace folio
