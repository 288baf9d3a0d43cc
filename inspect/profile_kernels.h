// A table of kernels with timers: each entry calls the device's own kernel between two readings of
// the clock (on a GPU, two events on the stream). The kernels and their own table are unchanged.
#pragma once

#include <cstdint>
#include <deque>
#include <vector>

#include "folio/inspect/profile_work.h"
#include "folio/kernels/kernels.h"
#include "folio/tensor/cuda.h"

namespace folio {

/// Records the calls of kernels through its table. At most one exists in a process, and its table
/// is called from one thread.
class KernelClock {
 public:
  explicit KernelClock(Device device);
  ~KernelClock();
  KernelClock(const KernelClock&) = delete;
  KernelClock& operator=(const KernelClock&) = delete;

  const Kernels& kernels() const { return timed_; }

  /// Starts to record the work of each call, in order.
  void describe();
  /// Starts to record the time of each call, in order, for a step with the calls described.
  void measure();

  const std::vector<KernelWork>& work() const { return work_; }
  /// Seconds of each call since measure(). Throws Error unless their number is that described.
  const std::vector<double>& seconds();

 private:
  struct Recorder;

  void mark();  // on the GPU's stream

  Device device_;
  std::deque<cuda::Event> marks_;  // two per call, reused by each step
  size_t next_mark_ = 0;
  const Kernels* plain_;
  Kernels timed_;
  bool describing_ = false;
  std::vector<KernelWork> work_;
  std::vector<double> seconds_;
};

}  // namespace folio
