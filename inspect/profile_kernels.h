// A table of kernels that times itself: each entry is the device's own between two looks at the
// clock (a GPU's: two events on its stream). The kernels, and whoever does not ask for this table,
// are untouched.
#pragma once

#include <cstdint>
#include <deque>
#include <vector>

#include "folio/inspect/profile_work.h"
#include "folio/kernels/kernels.h"
#include "folio/tensor/cuda.h"

namespace folio {

/// Writes down what the kernels of its table do. One at a time in a process; its table is called
/// from one thread.
class KernelClock {
 public:
  explicit KernelClock(Device device);
  ~KernelClock();
  KernelClock(const KernelClock&) = delete;
  KernelClock& operator=(const KernelClock&) = delete;

  const Kernels& kernels() const { return timed_; }

  /// From here on each call's work is noted, in order.
  void describe();
  /// From here on each call's time is noted, in order: those of a step with the calls described.
  void measure();

  const std::vector<KernelWork>& work() const { return work_; }
  /// Seconds of each call since measure(). Throws Error unless there were as many as described.
  const std::vector<double>& seconds();

 private:
  template <auto entry>
  friend struct Timed;

  void mark();  // on the GPU's stream

  Device device_;
  std::deque<cuda::Event> marks_;  // two a call, used again by each step
  size_t next_mark_ = 0;
  const Kernels* plain_;
  Kernels timed_;
  bool describing_ = false;
  std::vector<KernelWork> work_;
  std::vector<double> seconds_;
};

}  // namespace folio
