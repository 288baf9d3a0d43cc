// A table of kernels that count the FLOPs that they would compute, before anything runs.
#pragma once

#include "folio/inspect/profile_work.h"
#include "folio/kernels/kernels.h"

namespace folio {

/// One at a time in a process; its table is called from one thread.
class KernelCounter {
 public:
  /// `plain`: the table that each call is passed on to, or null to compute nothing.
  explicit KernelCounter(const Kernels* plain);
  ~KernelCounter();
  KernelCounter(const KernelCounter&) = delete;
  KernelCounter& operator=(const KernelCounter&) = delete;

  const Kernels& kernels() const { return counting_; }
  /// Of the matrix products so far.
  double flops() const { return flops_; }

 private:
  struct Recorder;

  const Kernels* plain_;
  Kernels counting_;
  double flops_ = 0.0;
};

}  // namespace folio
