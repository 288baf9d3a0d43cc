// A training step on the GPU, which does not wait for the host. From the third step on it is
// replayed from captured CUDA graphs.
//
// Steps allocate from a pool of their own, so that nothing else uses the memory of the graphs. What
// differs between steps is at fixed device addresses: the batch, and StepValues (learning rate,
// step). The copy stream copies them there from pinned memory while the previous step runs.
//
// Several steps can be in flight, so that the GPU never waits for the next one. After a step whose
// loss or norm is not finite, the GPU refuses the later updates until the host calls resume(), so
// weights and moments are those before that step.
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

  /// train.steps_in_flight, but 1 with a spike guard, which needs the norm before the update.
  int64_t most_in_flight() const override;
  /// Does not wait for the GPU; also draws the next batch.
  void begin(int64_t step, double lr) override;
  StepResult finish() override;
  /// Enabled by default; the profiler disables it.
  void set_replays(bool on) override { may_replay_ = on; }

  /// The statistics of the steps' pool.
  AllocatorStatistics memory() const { return pool_->statistics(); }
  /// Whether the step has been captured.
  bool replays() const { return static_cast<bool>(update_graph_); }

 private:
  struct Slot;

  bool guarded() const { return parts_.config.spike_guard > 0.0; }
  Slot& slot(int64_t number) { return *slots_[static_cast<size_t>(number) % slots_.size()]; }
  /// Allocates memory for batches with the shapes of `batch`.
  void allocate(const Batch& batch);
  void upload(const Batch& batch, int64_t step, double lr);
  /// Enqueues the computation of gradients and their norm. If the loss is not finite, neither is
  /// the norm.
  void gradients_and_norm(const StepSettings& settings);
  void compute(const Batch& batch, int64_t step, double lr);
  /// Enqueues the update, which changes nothing if the norm is not finite.
  void update(int64_t step, double lr);
  /// Discards the steps in flight after a refused step, and enables updates again.
  void resume();

  static constexpr int64_t warm_up = 2;  // steps before the capture, for the pool and the libraries

  StepParts parts_;
  std::unique_ptr<Allocator> pool_;
  Batch batch_;    // of the step, on the device
  Tensor values_;  // the bytes of a StepValues
  Tensor zero_;    // f32 (1)
  Tensor loss_;    // f32 (1)
  Tensor halt_;    // f32 (1): 0, but NaN between a refused step and resume()
  std::vector<std::unique_ptr<Slot>> slots_;  // ring buffer of the steps in flight
  cuda::Graph gradients_graph_, update_graph_;
  bool may_replay_ = true;
  uint32_t captured_step_ = 0;
  int64_t captured_targets_ = 0;
  int64_t begun_ = 0, finished_ = 0;
  Batch next_batch_;  // drawn in advance
  int64_t next_batch_step_ = -1;
};

}  // namespace folio
