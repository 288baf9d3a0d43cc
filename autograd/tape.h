// The tape: a list of the ops that were computed, in order, with their backward passes.
//
// An op computes its output, then records a closure that turns the output's gradient into its
// inputs' gradients. backward() runs the closures in reverse order and destroys each after it has
// run, so that exactly what a closure captured stays alive for the backward pass. Closures and
// gradient slots lie in arenas that are reused: after the first step the tape allocates nothing,
// except in concat, which lists its inputs on the heap. clear() ends a step.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <initializer_list>
#include <memory>
#include <new>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

#include "folio/autograd/variable.h"
#include "folio/kernels/grad_target.h"
#include "folio/tensor/random.h"
#include "folio/tensor/tensor.h"

namespace folio {

struct Kernels;
class TapeObserver;

/// The part of the key of random numbers that changes from step to step.
struct StepContext {
  uint64_t seed = 0;
  uint32_t step = 0;
  int64_t first_sample = 0;  // index in the whole batch of the micro-batch's first sample
};

class Tape {
 public:
  explicit Tape(Device device = Device::cpu);
  ~Tape();
  Tape(const Tape&) = delete;
  Tape& operator=(const Tape&) = delete;

  Device device() const { return device_; }
  const Kernels& kernels() const { return *kernels_; }
  /// Computes with another table of the same device (a profiler's), which must outlive its use.
  void set_kernels(const Kernels& kernels) { kernels_ = &kernels; }

  // --- modes ------------------------------------------------------------------------------------
  /// Whether ops are recorded. Switch it off for sampling and evaluation, so that no activations
  /// are kept. On by default.
  bool recording() const { return recording_; }
  void set_recording(bool on) { recording_ = on; }
  /// Whether dropout is active. Off by default.
  bool training() const { return training_; }
  void set_training(bool on) { training_ = on; }
  /// Shows every following op to `observer`, which must outlive its use; null for none.
  void set_observer(TapeObserver* observer);
  TapeObserver* observer() const { return observer_; }
  /// Sets seed, step and position in the batch for the random numbers of the following ops.
  void set_context(const StepContext& context) {
    context_ = context;
    context_drawn_ = context_spent_ = false;
  }
  const StepContext& context() const { return context_; }
  /// The mask of a dropout over a tensor of `shape`, whose first dimension counts samples. The
  /// probability counts as 0 unless the tape is training. `site` identifies the dropout, see
  /// Scope::site(). Throws Error if an earlier step, which clear() ended, drew masks with the same
  /// context, because this step would draw the same ones.
  DropoutMask dropout_mask(double probability, uint32_t site, const Shape& shape) const;

  // --- for users of ops -------------------------------------------------------------------------
  /// A leaf whose gradient is kept: read it with gradient() after backward().
  Variable leaf(Tensor value);
  /// The gradient of a leaf or parameter after backward(); throws Error if nothing reached it or
  /// clear() has ended the leaf.
  const Tensor& gradient(const Variable& leaf) const;
  /// Runs the closures in reverse order, beginning with d(loss)/d(loss) = scale, and empties the
  /// tape. loss must have one element and have been recorded here. Throws Error otherwise. The
  /// variables of the graph, except leaves, cannot be inputs of recorded ops afterwards. If a
  /// closure throws, the tape is cleared.
  void backward(const Variable& loss, double scale = 1.0);
  /// Forgets the graph and the leaves, and keeps their memory for reuse. A variable of this tape
  /// that is an input of a recorded op afterwards is an Error; see Variable::detach().
  void clear();
  /// The number of recorded ops.
  size_t size() const { return entries_.size(); }

  // --- for writers of ops -----------------------------------------------------------------------
  /// A new output in uninitialised memory. It has a slot if the tape records and any input needs a
  /// gradient.
  Variable output(const Shape& shape, DType dtype, std::initializer_list<const Variable*> inputs);
  Variable output(const Shape& shape, DType dtype, const std::vector<Variable>& inputs);
  /// The same with x as the only input, of whose shape and type the output is.
  Variable output_like(const Variable& x);
  /// An output that shares memory with its input (reshape).
  Variable output_sharing(Tensor value, const Variable& x);
  /// An output with a value that was computed by other means, and a slot if the tape records.
  Variable output_of(Tensor value, std::span<const Variable> inputs);
  /// Scratch memory of an op, from the pool.
  Tensor scratch(const Shape& shape, DType dtype) const { return Tensor(shape, dtype, device_); }

  /// Keeps `closure`, void(Tape&), as the backward pass of the op that made `output`. Does nothing
  /// if the output has no slot. The closure runs only if a gradient reached the output. If it
  /// records ops, their closures run right after it. `name` is a string literal.
  template <class Closure>
  void record(const char* name, const Variable& output, Closure closure) {
    record(name, output, Variable{}, std::move(closure));
  }
  /// The same for an op with two outputs. The closure runs if a gradient reached either.
  template <class Closure>
  void record(const char* name, const Variable& first, const Variable& second, Closure closure);

  /// For closures: the destination of an input's gradient; empty for a constant, which has no slot.
  GradTarget grad_of(GradSlot* dx);
  /// For closures: the output's gradient; an empty tensor if no gradient reached it.
  const Tensor& grad(const GradSlot* dy) const;
  /// For closures: adds `gradient`, of as many elements, to the input's gradient. No copy is made
  /// if the input has not received a gradient yet.
  void pass_grad(GradSlot* dx, const Tensor& gradient);

 private:
  struct Entry {
    const char* name;
    std::array<GradSlot*, 2> outputs;
    void* closure;
    void (*run)(void* closure, Tape& tape);
    void (*destroy)(void* closure);
  };

  /// Looks at input number `index` (from 1) of an op; returns whether it needs a gradient.
  bool add_input(const Variable& input, int index);
  Variable new_output(Tensor value, bool needs_grad);
  GradSlot* new_slot(const Tensor& value);
  bool is_current(const Variable& variable) const {
    return variable.graph == 0 || variable.graph == graph_ || variable.graph == leaves_;
  }
  [[noreturn]] void fail_stale(const char* name);
  void observe_forward(const char* name, const Variable& first, const Variable& second);
  void* arena_allocate(size_t bytes, size_t alignment);
  void run_last_entry();
  void destroy_entries();

  Device device_;
  const Kernels* kernels_;
  bool recording_ = true;
  bool training_ = false;
  StepContext context_;
  mutable bool context_drawn_ = false;  // a mask was drawn since set_context()
  bool context_spent_ = false;          // and then clear() ended the step

  TapeObserver* observer_ = nullptr;
  std::vector<Variable> observed_inputs_;   // of the op in progress
  std::vector<GradSlot*> observed_writes_;  // of the closure that runs

  std::vector<Entry> entries_;
  std::deque<GradSlot> slots_;  // the first used_slots_ are in use
  size_t used_slots_ = 0;
  uint64_t graph_, leaves_;  // numbers that no other graph of the program has
  int stale_input_ = 0;      // number of an input from an earlier graph, if the op has one
  static constexpr size_t chunk_bytes = 64 * 1024;
  std::vector<std::unique_ptr<std::byte[]>> chunks_;
  size_t chunk_ = 0, chunk_offset_ = 0;
};

/// Switches recording off for a scope.
class NoRecording {
 public:
  explicit NoRecording(Tape& tape) : tape_(tape), before_(tape.recording()) {
    tape.set_recording(false);
  }
  ~NoRecording() { tape_.set_recording(before_); }
  NoRecording(const NoRecording&) = delete;
  NoRecording& operator=(const NoRecording&) = delete;

 private:
  Tape& tape_;
  bool before_;
};

template <class Closure>
void Tape::record(const char* name, const Variable& first, const Variable& second,
                  Closure closure) {
  if (observer_ != nullptr) observe_forward(name, first, second);
  if (first.slot == nullptr && second.slot == nullptr) return;
  if (stale_input_ != 0) fail_stale(name);
  static_assert(sizeof(Closure) <= chunk_bytes);
  static_assert(alignof(Closure) <= __STDCPP_DEFAULT_NEW_ALIGNMENT__);  // what chunks begin with
  void* place = arena_allocate(sizeof(Closure), alignof(Closure));
  new (place) Closure(std::move(closure));
  entries_.push_back({name,
                      {first.slot, second.slot},
                      place,
                      [](void* c, Tape& tape) { (*static_cast<Closure*>(c))(tape); },
                      [](void* c) { static_cast<Closure*>(c)->~Closure(); }});
}

}  // namespace folio
