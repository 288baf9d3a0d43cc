#include "folio/inspect/plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <utility>

#include "folio/autograd/observer.h"
#include "folio/autograd/parameters.h"
#include "folio/inspect/placeholder_memory.h"
#include "folio/inspect/profile_work.h"
#include "folio/kernels/cuda/gemm_cublaslt.h"
#include "folio/kernels/kernels.h"
#include "folio/tensor/cuda.h"
#include "folio/tensor/error.h"
#include "folio/train/device_choice.h"
#include "folio/train/precision.h"
#include "folio/train/step_gradients.h"

namespace folio {
namespace {

/// A table of kernels that adds up the FLOPs of matrix products. At most one object exists, and its
/// table is called from one thread.
class KernelCounter {
 public:
  /// Each call is passed on to `plain`; if that is null, nothing is computed.
  explicit KernelCounter(const Kernels* plain)
      : plain_(plain), counting_(recording_kernels<Recorder>()) {
    FOLIO_CHECK(current_ == nullptr, "plan", "there is a kernel counter already");
    current_ = this;
  }
  ~KernelCounter() { current_ = nullptr; }
  KernelCounter(const KernelCounter&) = delete;
  KernelCounter& operator=(const KernelCounter&) = delete;

  const Kernels& kernels() const { return counting_; }
  double flops() const { return flops_; }

 private:
  struct Recorder {
    template <auto entry, class... Argument>
    static void record(Entry<entry> name, const Argument&... argument) {
      current_->flops_ += work_of(name, argument...).flops();
      if (current_->plain_ != nullptr) (current_->plain_->*entry)(argument...);
    }
  };

  // Entries of a table are plain functions, which have no state.
  static inline KernelCounter* current_ = nullptr;
  const Kernels* plain_;
  Kernels counting_;
  double flops_ = 0.0;
};

/// "blocks.3.attention.qkv.weight" to "blocks.N.attention.qkv.weight".
std::string without_number(const std::string& name) {
  constexpr std::string_view digits = "0123456789";
  for (size_t dot = name.find('.'); dot != name.npos; dot = name.find('.', dot + 1)) {
    const size_t end = name.find_first_not_of(digits, dot + 1);
    if (end != name.npos && end > dot + 1 && name[end] == '.') {
      return name.substr(0, dot) + ".N" + name.substr(end);
    }
  }
  return name;
}

/// Records the live memory at the end of the forward pass.
class LiveBeforeBackward : public TapeObserver {
 public:
  explicit LiveBeforeBackward(const Allocator& pool) : pool_(pool) {}
  void before_backward(const char*, std::span<GradSlot* const>) override {
    if (bytes_ == 0) bytes_ = static_cast<int64_t>(pool_.statistics().live_bytes);
  }
  int64_t bytes() const { return bytes_; }

 private:
  const Allocator& pool_;
  int64_t bytes_ = 0;
};

/// A model in placeholder memory, and its task.
struct PlannedModel {
  ParameterStore parameters;
  std::unique_ptr<Task> task;
  std::unique_ptr<Model> model;
  Batch batch;
  Tensor loss;
  StepSettings settings;

  PlannedModel(const Config& config, int64_t vocabulary, const Batch& blank, DType type,
               Device device)
      : parameters(type, device),
        task(make_task(config)),
        model(make_model(config, Scope(parameters), vocabulary)),
        batch(blank) {
    parameters.allocate(/*with_gradients=*/true);
    loss = Tensor({1}, accumulator_of(type), device);
    settings = {.micro_batch = config.train.batch / config.train.accumulate,
                .targets = std::max<int64_t>(1, task->targets(blank))};
    if (device == Device::cpu) return;
    for (NamedTensor& entry : batch.tensors) {
      entry.tensor = Tensor(entry.tensor.shape(), entry.tensor.dtype(), device);
    }
  }

  void step(const Kernels& kernels, TapeObserver* observer) {
    Tape tape(parameters.device());
    tape.set_kernels(kernels);
    tape.set_observer(observer);
    compute_gradients(*task, *model, parameters, tape, batch, settings, loss);
  }
};

int64_t reserved(const Allocator& pool) {
  return static_cast<int64_t>(pool.statistics().reserved_bytes);
}

/// The other memory of a GPU: evaluations and samples, batches, and the workspace of libraries.
std::vector<PlanLine> memory_between_steps(const Config& config, const PlannedModel& planned,
                                           const Batch& blank, const Kernels& kernels) {
  Allocator between(placeholder_memory(Device::cuda));
  {
    const AllocatorScope scope(Device::cuda, between);
    Tape tape(Device::cuda);
    tape.set_kernels(kernels);
    const NoRecording no_recording(tape);
    if (config.train.eval_every > 0 && config.data.validation_fraction > 0.0) {
      const Batch batch = blank.part(0, planned.settings.micro_batch);
      planned.task->loss(tape, *planned.model, batch, planned.settings.targets);
    }
    const auto* const language = dynamic_cast<const LanguageModel*>(planned.model.get());
    if (!config.train.sample_at.empty() && language != nullptr) {
      DecoderState state = language->begin({}, 1);
      const Tensor token = Tensor::from<int32_t>({1, 1}, {0});
      for (int i = 0; i < 2; ++i) language->next(tape, token, state);
    }
  }
  int64_t bytes = 0;
  for (const NamedTensor& entry : blank.tensors) bytes += entry.tensor.bytes();
  // The current batch, and one staged for each step in flight.
  const int64_t slots = 1 + (config.train.spike_guard > 0.0 ? 1 : config.train.steps_in_flight);
  return {{"validation and samples between steps", reserved(between)},
          {"batches on the GPU", slots * bytes},
          {"workspace of matrix products", cuda::gemm_workspace_bytes}};
}

void add_parameters(Plan& plan, const ParameterStore& store, const OptimizerConfig& optimizer) {
  for (const Parameter& parameter : store.parameters()) {
    const std::string name = without_number(parameter.name);
    const auto row = std::ranges::find(plan.table, name, &PlanParameter::name);
    if (row != plan.table.end()) {
      ++row->copies;
    } else {
      plan.table.push_back({name, parameter.shape, 1});
    }
  }
  plan.parameters = store.numel();
  for (const UpdateRange& range : update_ranges(store, optimizer)) {
    if (range.weight_decay > 0.0) plan.decayed_parameters += range.elements.size();
  }
}

void add_resident_memory(Plan& plan, const Config& config, DType type) {
  const auto value = static_cast<int64_t>(size_of(type)),
             master = static_cast<int64_t>(size_of(accumulator_of(type)));
  const int64_t copy = type == accumulator_of(type) ? 0 : value;
  plan.memory.push_back({"weights", plan.parameters * (master + copy)});
  plan.memory.push_back({"gradients", plan.parameters * master});
  if (config.train.reduce == Reduce::ordered && config.train.accumulate > 1) {
    // In addition to those of a micro-batch. Each of several ranks has its part.
    plan.memory.push_back({"their sums over micro-batches", plan.parameters * master});
  }
  const auto moments = static_cast<int64_t>(state_names(config.optimizer.kind).size());
  plan.memory.push_back({"optimizer moments", moments * plan.parameters * master});
}

}  // namespace

int64_t Plan::memory_bytes() const {
  int64_t sum = 0;
  for (const PlanLine& line : memory) sum += line.bytes;
  return sum;
}

Plan make_plan(const Config& config, int64_t vocabulary) {
  FOLIO_CHECK(config.train.accumulate >= 1 && config.train.batch % config.train.accumulate == 0,
              "train.accumulate", "{} micro-batches do not divide train.batch, {}",
              config.train.accumulate, config.train.batch);
  const Device device = computing_device(config.train.device);
  const DType type = computing_type(config.train.precision, multiplies_bf16(device));
  const bool on_gpu = device == Device::cuda;
  const std::optional<cuda::DryRun> dry =
      on_gpu ? std::optional<cuda::DryRun>(std::in_place) : std::nullopt;
  // The kernels of a GPU allocate memory, so they are called in a dry run.
  KernelCounter counter(on_gpu ? &kernels_for(device) : nullptr);
  const Batch blank = make_task(config)->blank(config.train.batch);  // in real memory

  Plan plan;
  Allocator resident(placeholder_memory(device)), observed(placeholder_memory(device)),
      pool(placeholder_memory(device));
  const AllocatorScope scope(device, resident);
  PlannedModel planned(config, vocabulary, blank, type, device);
  add_parameters(plan, planned.parameters, config.optimizer);
  add_resident_memory(plan, config, type);

  // An observer keeps tensors alive for longer, so this step has a pool of its own.
  LiveBeforeBackward live(observed);
  {
    const AllocatorScope inner(device, observed);
    planned.step(counter.kernels(), &live);
  }
  plan.tokens_per_step = planned.task->tokens(blank);
  plan.flops_per_token = counter.flops() / static_cast<double>(plan.tokens_per_step);
  {
    const AllocatorScope inner(device, pool);
    planned.step(counter.kernels(), nullptr);
  }
  const int64_t most = on_gpu ? reserved(pool) : static_cast<int64_t>(pool.statistics().peak_bytes);
  const int64_t kept = std::min(live.bytes(), most);
  plan.memory.push_back({"activations kept for the backward pass", kept});
  plan.memory.push_back({"gradients of activations, scratch", most - kept});
  if (on_gpu) {
    for (PlanLine& line : memory_between_steps(config, planned, blank, counter.kernels())) {
      plan.memory.push_back(std::move(line));
    }
    plan.memory_note =
        "besides what CUDA and its libraries take for themselves: not known before\n";
  }
  return plan;
}

}  // namespace folio
