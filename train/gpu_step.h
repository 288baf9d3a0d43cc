// A training step on the GPU: nothing waits for the host inside it, and from the third step on all
// of it is replayed from captured graphs.
//
// Its memory is a pool of its own, so that what the graphs use is nobody else's. What differs from
// step to step lies at fixed places of the device: the batch, and StepValues (learning rate, step).
// They are copied there from pinned memory, on the copy stream, while the step before still runs.
//
// Several steps may be on their way at once, so that the GPU always has the next one at hand. After
// one whose loss or norm is no finite number the GPU refuses all that follow it, until the host has
// seen that and says resume(): weights and moments are then as that step found them.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "folio/autograd/parameters.h"
#include "folio/autograd/tape.h"
#include "folio/data/batches.h"
#include "folio/models/gpt.h"
#include "folio/optim/optimizer.h"
#include "folio/tensor/cuda.h"
#include "folio/train/step_gradients.h"

namespace folio {

class GpuStep {
 public:
  /// All must outlive this; `batch` (B, T) is that of every step. `in_flight`, at least 1: how many
  /// steps may be on their way at once.
  GpuStep(const Gpt& model, ParameterStore& store, Optimizer& optimizer, Tape& tape,
          const Shape& batch, int64_t in_flight);
  ~GpuStep();

  /// Puts gradients and their norm on the stream, for a batch on the CPU, and returns. A loss that
  /// is no finite number makes the norm one that is none either.
  void compute(const Batch& batch, const StepSettings& settings, double lr);
  /// Puts the update on the stream: it changes nothing where the norm is no finite number. The step
  /// counts in either case.
  void update();

  struct Outcome {
    double loss, gradient_norm;
  };
  /// Waits for the oldest compute() that was not waited for yet.
  Outcome wait();
  /// After a step that was refused: forgets those that were begun after it, which the GPU refuses
  /// too, and lets it make updates again.
  void resume();

  /// Whether steps may be replayed from graphs, as they are unless told otherwise: a profiler wants
  /// each made by its calls.
  void set_replays(bool on) { may_replay_ = on; }
  /// Of the pool that steps take their memory from.
  AllocatorStatistics memory() const { return pool_->statistics(); }
  /// Whether steps are replayed already.
  bool replays() const { return static_cast<bool>(update_graph_); }

 private:
  struct Slot;

  Slot& slot(int64_t step) { return *slots_[static_cast<size_t>(step) % slots_.size()]; }
  void gradients_and_norm(const StepSettings& settings);

  static constexpr int64_t warm_up = 2;  // steps that fill the pool and the libraries' plans

  const Gpt& model_;
  ParameterStore& store_;
  Optimizer& optimizer_;
  Tape& tape_;
  std::unique_ptr<Allocator> pool_;
  Tensor tokens_;  // i32 (2, B, T): inputs, targets
  Tensor values_;  // the bytes of a StepValues
  Tensor zero_;    // f32 (1)
  Tensor loss_;    // f32 (1)
  Tensor halt_;    // f32 (1): 0, or NaN from a step that was refused until resume()
  std::vector<std::unique_ptr<Slot>> slots_;  // of the steps in flight, used in turn
  cuda::Graph gradients_graph_, update_graph_;
  bool may_replay_ = true;
  uint32_t captured_step_ = 0;
  double lr_ = 0.0;
  int64_t begun_ = 0, waited_for_ = 0;
};

}  // namespace folio
