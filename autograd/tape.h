// The tape: what was computed, in order, and how to go back.
//
// An op computes its output, then records a closure that turns the output's gradient into its
// inputs' gradients. backward() runs the closures in reverse and destroys each as it has run, so
// what a closure captured (and nothing else) is what stays alive for the backward pass. Closures
// and gradient slots lie in arenas that are used again: after the first step the tape allocates
// nothing (but for concat, which lists its inputs on the heap). clear() ends a step.
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

/// What random numbers depend on besides their purpose.
struct StepContext {
  uint64_t seed = 0;
  uint32_t step = 0;
  int64_t first_sample = 0;  // global index, within the batch, of this micro-batch's first sample
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
  /// Off (sampling, evaluation): record() does nothing and nothing is kept. On at first.
  bool recording() const { return recording_; }
  void set_recording(bool on) { recording_ = on; }
  /// Whether dropout drops. Off at first.
  bool training() const { return training_; }
  void set_training(bool on) { training_ = on; }
  /// Shows every op that follows to `observer` (null: to nobody), which must outlive its use.
  void set_observer(TapeObserver* observer);
  TapeObserver* observer() const { return observer_; }
  /// Seed, step and place in the batch for the random numbers of the ops that follow.
  void set_context(const StepContext& context) { context_ = context; }
  const StepContext& context() const { return context_; }
  /// The mask of one dropout over a tensor of `shape`, whose first dimension counts samples.
  /// probability is taken as 0 unless training. `site` names the place, see purpose_of().
  DropoutMask dropout_mask(double probability, uint32_t site, const Shape& shape) const;

  // --- for users of ops -------------------------------------------------------------------------
  /// A leaf whose gradient is kept: read it with gradient() after backward().
  Variable leaf(Tensor value);
  /// The gradient of a leaf or parameter after backward(); throws Error if nothing reached it or
  /// clear() has ended the leaf.
  const Tensor& gradient(const Variable& leaf) const;
  /// Runs the closures in reverse, from d(loss)/d(loss) = scale, and empties the tape.
  /// loss must have one element and have been recorded here. Throws Error otherwise. The variables
  /// of the graph, except leaves, cannot be inputs of recorded ops afterwards. If a closure throws,
  /// the tape is cleared.
  void backward(const Variable& loss, double scale = 1.0);
  /// Forgets the graph and the leaves, and keeps their memory for reuse. A variable of this tape
  /// that is an input of a recorded op afterwards is an Error; see Variable::detach().
  void clear();
  /// Recorded ops.
  size_t size() const { return entries_.size(); }

  // --- for writers of ops -----------------------------------------------------------------------
  /// An output: uninitialised memory, with a slot if recording and any input needs a gradient.
  Variable output(const Shape& shape, DType dtype, std::initializer_list<const Variable*> inputs);
  Variable output(const Shape& shape, DType dtype, const std::vector<Variable>& inputs);
  /// The same, of x's shape and type, x being the only input.
  Variable output_like(const Variable& x);
  /// An output that shares memory with its input (reshape).
  Variable output_sharing(Tensor value, const Variable& x);
  /// An output that was computed by other means: its value, with a slot if recording.
  Variable output_of(Tensor value, std::span<const Variable> inputs);
  /// Scratch memory of an op, from the pool.
  Tensor scratch(const Shape& shape, DType dtype) const { return Tensor(shape, dtype, device_); }

  /// Keeps `closure`, void(Tape&), as the backward of the op that made `output`. Does nothing if
  /// the output has no slot. It runs only if a gradient reached the output; `name` is a literal.
  /// What a closure records runs back right after it.
  template <class Closure>
  void record(const char* name, const Variable& output, Closure closure) {
    record(name, output, Variable{}, std::move(closure));
  }
  /// The same for an op with two outputs; it runs if a gradient reached either.
  template <class Closure>
  void record(const char* name, const Variable& first, const Variable& second, Closure closure);

  /// In a closure: where to write an input's gradient; empty for a constant (no slot).
  GradTarget grad_of(GradSlot* dx);
  /// In a closure: the output's gradient; an empty tensor if nothing reached it.
  const Tensor& grad(const GradSlot* dy) const;
  /// In a closure: all of `gradient` (of as many elements) belongs to the input. No copy is made
  /// where the input has received nothing yet.
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

  TapeObserver* observer_ = nullptr;
  std::vector<Variable> observed_inputs_;   // of the op that is being computed
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
