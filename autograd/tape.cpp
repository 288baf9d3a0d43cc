#include "folio/autograd/tape.h"

#include <fmt/core.h>

#include <algorithm>
#include <atomic>

#include "folio/autograd/observer.h"
#include "folio/kernels/kernels.h"
#include "folio/tensor/error.h"

namespace folio {
namespace {

// Unique in the process, so that a variable of another tape is recognized too.
uint64_t new_graph() {
  static std::atomic<uint64_t> graphs = 0;
  return ++graphs;
}

}  // namespace

Tape::Tape(Device device)
    : device_(device), kernels_(&kernels_for(device)), graph_(new_graph()), leaves_(new_graph()) {}

Tape::~Tape() { clear(); }

DropoutMask Tape::dropout_mask(double probability, uint32_t site, const Shape& shape) const {
  FOLIO_CHECK(probability >= 0.0 && probability < 1.0, "dropout",
              "the probability is {}; it must be at least 0 and below 1", probability);
  if (training_ && recording_ && probability > 0.0) {
    FOLIO_CHECK(
        !context_spent_, "dropout",
        "the step before drew masks with the same seed and step, and this one would draw the "
        "same masks; call set_context({{.seed = ..., .step = ...}}) before each step");
    context_drawn_ = true;
  }
  const int64_t samples = shape.rank() == 0 ? 1 : shape[0];
  const int64_t per_sample = samples == 0 ? 0 : shape.numel() / samples;
  return {.probability = training_ ? probability : 0.0,
          .stream = {.seed = context_.seed, .purpose = site, .step = context_.step},
          .first_index = static_cast<uint64_t>(context_.first_sample * per_sample)};
}

void Tape::set_observer(TapeObserver* observer) {
  observer_ = observer;
  observed_inputs_.clear();
}

void Tape::observe_forward(const char* name, const Variable& first, const Variable& second) {
  const std::array<Variable, 2> outputs = {first, second};
  // An op with two outputs may have made the second from the first.
  std::erase_if(observed_inputs_, [&](const Variable& input) {
    return second.value && input.value.raw() == first.value.raw();
  });
  observer_->after_forward(name, observed_inputs_, std::span(outputs).first(second.value ? 2 : 1));
  observed_inputs_.clear();
}

Variable Tape::leaf(Tensor value) {
  GradSlot* slot = new_slot(value);
  slot->persistent = true;
  return {std::move(value), slot, leaves_};
}

const Tensor& Tape::gradient(const Variable& leaf) const {
  FOLIO_CHECK(leaf.slot != nullptr, "gradient", "the variable is a constant; it has no gradient");
  FOLIO_CHECK(is_current(leaf), "gradient", "the leaf was made before clear(), which ended it");
  FOLIO_CHECK(leaf.slot->written, "gradient",
              "no gradient has reached the variable; run backward()");
  return leaf.slot->grad;
}

void Tape::backward(const Variable& loss, double scale) {
  FOLIO_CHECK(loss.slot != nullptr, "backward",
              "the loss depends on no parameter or leaf, or was computed while not recording");
  FOLIO_CHECK(loss.value.numel() == 1, "backward", "the loss is {}; it must have one element",
              loss.value.describe());
  // The search ends at once, unless more was recorded after the loss.
  const bool recorded =
      is_current(loss) && std::any_of(entries_.rbegin(), entries_.rend(), [&](const Entry& entry) {
        return entry.outputs[0] == loss.slot || entry.outputs[1] == loss.slot;
      });
  FOLIO_CHECK(recorded, "backward",
              "the loss was not recorded on this tape, or backward() has run already");
  kernels_->fill(*grad_of(loss.slot).tensor, scale);
  try {
    while (!entries_.empty()) run_last_entry();
  } catch (...) {
    clear();
    throw;
  }
  graph_ = new_graph();
  chunk_ = chunk_offset_ = 0;
}

void Tape::run_last_entry() {
  const Entry entry = entries_.back();
  entries_.pop_back();
  // The closure dies at the end of this block whatever happens, and with it what it kept alive.
  const std::unique_ptr<void, void (*)(void*)> closure(entry.closure, entry.destroy);
  bool reached = false;
  for (GradSlot* slot : entry.outputs) reached |= slot != nullptr && slot->written;
  if (reached && observer_ != nullptr) {
    observed_writes_.clear();
    observer_->before_backward(entry.name, entry.outputs);
    entry.run(entry.closure, *this);
    observer_->after_backward(entry.name, entry.outputs, observed_writes_);
  } else if (reached) {
    entry.run(entry.closure, *this);
  }
  for (GradSlot* slot : entry.outputs) {
    if (slot != nullptr) {
      slot->grad = Tensor();
      slot->written = false;
    }
  }
}

void Tape::clear() {
  destroy_entries();
  for (size_t i = 0; i < used_slots_; ++i) slots_[i] = GradSlot();
  used_slots_ = 0;
  observed_inputs_.clear();
  graph_ = new_graph();
  leaves_ = new_graph();
  stale_input_ = 0;
  context_spent_ = context_drawn_;
}

void Tape::destroy_entries() {
  while (!entries_.empty()) {
    entries_.back().destroy(entries_.back().closure);
    entries_.pop_back();
  }
  chunk_ = chunk_offset_ = 0;
}

Variable Tape::output(const Shape& shape, DType dtype,
                      std::initializer_list<const Variable*> inputs) {
  bool needs_grad = false;
  int index = 0;
  for (const Variable* input : inputs) needs_grad |= add_input(*input, ++index);
  return new_output(Tensor(shape, dtype, device_), needs_grad);
}

Variable Tape::output(const Shape& shape, DType dtype, const std::vector<Variable>& inputs) {
  bool needs_grad = false;
  int index = 0;
  for (const Variable& input : inputs) needs_grad |= add_input(input, ++index);
  return new_output(Tensor(shape, dtype, device_), needs_grad);
}

Variable Tape::output_like(const Variable& x) { return output(x.shape(), x.value.dtype(), {&x}); }

Variable Tape::output_sharing(Tensor value, const Variable& x) {
  return new_output(std::move(value), add_input(x, 1));
}

Variable Tape::output_of(Tensor value, std::span<const Variable> inputs) {
  int index = 0;
  for (const Variable& input : inputs) add_input(input, ++index);
  return new_output(std::move(value), true);
}

bool Tape::add_input(const Variable& input, int index) {
  if (observer_ != nullptr && input.value) observed_inputs_.push_back(input);
  if (input.slot == nullptr) return false;
  // record(), which knows the op's name, throws the error.
  if (recording_ && !is_current(input)) stale_input_ = index;
  return true;
}

void Tape::fail_stale(const char* name) {
  const int index = std::exchange(stale_input_, 0);
  fail(
      name,
      fmt::format("input {} belongs to an earlier graph, which backward() or clear() ended", index),
      "pass its detach()");
}

Variable Tape::new_output(Tensor value, bool needs_grad) {
  Variable y{std::move(value)};
  if (recording_ && needs_grad) {
    y.slot = new_slot(y.value);
    y.graph = graph_;
  }
  return y;
}

GradTarget Tape::grad_of(GradSlot* dx) {
  if (dx == nullptr) return {};
  if (observer_ != nullptr) observed_writes_.push_back(dx);
  const bool accumulate = std::exchange(dx->written, true);
  if (!dx->grad) {
    dx->grad = Tensor(dx->shape, dx->dtype, device_);
  } else if (accumulate && !dx->persistent && !dx->grad.unique()) {
    // pass_grad() shared this memory with another slot: part before writing.
    Tensor own(dx->shape, dx->dtype, device_);
    kernels_->copy({&own, false}, dx->grad);
    dx->grad = std::move(own);
  }
  return {&dx->grad, accumulate};
}

const Tensor& Tape::grad(const GradSlot* dy) const {
  static const Tensor empty;
  return dy != nullptr && dy->written ? dy->grad : empty;
}

void Tape::pass_grad(GradSlot* dx, const Tensor& gradient) {
  if (dx == nullptr) return;
  if (dx->persistent || dx->written) {
    kernels_->copy(grad_of(dx), gradient);
  } else {
    if (observer_ != nullptr) observed_writes_.push_back(dx);
    dx->grad = gradient.reshape(dx->shape);
    dx->written = true;
  }
}

GradSlot* Tape::new_slot(const Tensor& value) {
  if (used_slots_ == slots_.size()) slots_.emplace_back();
  GradSlot* slot = &slots_[used_slots_++];
  slot->shape = value.shape();
  slot->dtype = value.dtype();
  return slot;
}

void* Tape::arena_allocate(size_t bytes, size_t alignment) {
  size_t offset = (chunk_offset_ + alignment - 1) / alignment * alignment;
  if (chunk_ < chunks_.size() && offset + bytes > chunk_bytes) {
    ++chunk_;
    offset = 0;
  }
  if (chunk_ == chunks_.size()) {
    chunks_.push_back(std::make_unique_for_overwrite<std::byte[]>(chunk_bytes));
    offset = 0;
  }
  chunk_offset_ = offset + bytes;
  return chunks_[chunk_].get() + offset;
}

}  // namespace folio
