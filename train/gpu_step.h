// A training step on the GPU: nothing waits for the host inside it, and from the third step on all
// of it is replayed from captured graphs.
//
// Its memory is a pool of its own, so that nobody else uses what the graphs use. What differs from
// step to step lies at fixed places of the device: the batch, and StepValues (learning rate, step).
// They are copied there from pinned memory, on the copy stream, while the step before still runs.
//
// Several steps may be on their way at once, so that the GPU always has the next one at hand. After
// one whose loss or norm is not finite the GPU refuses all that follow it, until the host has seen
// that and calls resume(): weights and moments are then as that step found them.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "folio/tensor/cuda.h"
#include "folio/train/step_runner.h"

namespace folio {

class GpuStep : public StepRunner {
 public:
  explicit GpuStep(const StepParts& parts);
  ~GpuStep() override;

  /// train.steps_in_flight; 1 with a spike guard, which must know the norm before the update.
  int64_t most_in_flight() const override;
  /// The host waits for nothing, and draws the next batch meanwhile.
  void begin(int64_t step, double lr) override;
  StepResult finish() override;
  /// On at first: a profiler wants each step made by its own calls.
  void set_replays(bool on) override { may_replay_ = on; }

  /// Of the pool that steps take their memory from.
  AllocatorStatistics memory() const { return pool_->statistics(); }
  /// Whether steps are replayed already.
  bool replays() const { return static_cast<bool>(update_graph_); }

 private:
  struct Slot;

  bool guarded() const { return parts_.config.spike_guard > 0.0; }
  Slot& slot(int64_t number) { return *slots_[static_cast<size_t>(number) % slots_.size()]; }
  /// Memory for batches of these shapes.
  void allocate(const Batch& batch);
  void upload(const Batch& batch, int64_t step, double lr);
  /// Puts gradients and their norm on the stream. A loss that is not finite makes the norm one that
  /// is not finite either.
  void gradients_and_norm(const StepSettings& settings);
  void compute(const Batch& batch, int64_t step, double lr);
  /// Puts the update on the stream: it changes nothing where the norm is not finite.
  void update(int64_t step, double lr);
  /// After a step that was refused: forgets those that were begun after it, which the GPU refuses
  /// too, and lets it make updates again.
  void resume();

  static constexpr int64_t warm_up = 2;  // steps that fill the pool and the libraries' plans

  StepParts parts_;
  std::unique_ptr<Allocator> pool_;
  Batch batch_;    // of the step, on the device
  Tensor values_;  // the bytes of a StepValues
  Tensor zero_;    // f32 (1)
  Tensor loss_;    // f32 (1)
  Tensor halt_;    // f32 (1): 0, or NaN from a step that was refused until resume()
  std::vector<std::unique_ptr<Slot>> slots_;  // of the steps in flight, used in turn
  cuda::Graph gradients_graph_, update_graph_;
  bool may_replay_ = true;
  uint32_t captured_step_ = 0;
  int64_t captured_targets_ = 0;
  int64_t begun_ = 0, finished_ = 0;
  Batch next_batch_;  // drawn while the GPU was at work
  int64_t next_batch_step_ = -1;
};

}  // namespace folio
