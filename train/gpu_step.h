// A training step on the GPU, which never waits for the host. From the third step on, all of it is
// replayed from captured graphs.
//
// The step has a memory pool of its own, so that no other code uses the addresses of the graphs.
// The values that change from step to step, the batch and StepValues (learning rate and step), are
// at fixed addresses of the device. They are copied there from pinned memory, on the copy stream,
// while the previous step still runs.
//
// Several steps may be in flight, so that the GPU always has work. After a step whose loss or norm
// is not finite, the GPU makes no update until the host calls resume(), so that weights and moments
// remain as that step found them.
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
  /// Does not wait for the GPU, and draws the next batch while it works.
  void begin(int64_t step, double lr) override;
  StepResult finish() override;
  /// On by default. A profiler switches replays off, to see each call.
  void set_replays(bool on) override { may_replay_ = on; }

  /// Statistics of the pool of steps.
  AllocatorStatistics memory() const { return pool_->statistics(); }
  /// Whether steps are replayed now.
  bool replays() const { return static_cast<bool>(update_graph_); }

 private:
  struct Slot;

  bool guarded() const { return parts_.config.spike_guard > 0.0; }
  Slot& slot(int64_t number) { return *slots_[static_cast<size_t>(number) % slots_.size()]; }
  /// Allocates memory for batches of these shapes.
  void allocate(const Batch& batch);
  void upload(const Batch& batch, int64_t step, double lr);
  /// Enqueues gradients and their norm. If the loss is not finite, neither is the norm.
  void gradients_and_norm(const StepSettings& settings);
  void compute(const Batch& batch, int64_t step, double lr);
  /// Enqueues the update, which changes nothing if the norm is not finite.
  void update(int64_t step, double lr);
  /// Forgets the steps that were begun after a refused one, and lets the GPU make updates again.
  void resume();

  static constexpr int64_t warm_up = 2;  // steps that fill the pool and the libraries' plans

  StepParts parts_;
  std::unique_ptr<Allocator> pool_;
  Batch batch_;    // of the step, on the device
  Tensor values_;  // the bytes of a StepValues
  Tensor zero_;    // f32 (1)
  Tensor loss_;    // f32 (1)
  Tensor halt_;    // f32 (1): NaN from a refused step until resume(), otherwise 0
  std::vector<std::unique_ptr<Slot>> slots_;  // one per step in flight, used in turn
  cuda::Graph gradients_graph_, update_graph_;
  bool may_replay_ = true;
  uint32_t captured_step_ = 0;
  int64_t captured_targets_ = 0;
  int64_t begun_ = 0, finished_ = 0;
  Batch next_batch_;  // drawn while the GPU was working
  int64_t next_batch_step_ = -1;
};

}  // namespace folio
