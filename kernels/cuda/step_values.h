// The values of a training step that change while its captured CUDA graph stays the same.
#pragma once

#include <cstdint>

namespace folio::cuda {

/// Kernels in a captured graph read these from device memory when they run, instead of the
/// arguments that they were captured with.
struct StepValues {
  uint32_t step_offset = 0;  // added to the step of random numbers
  uint32_t unused = 0;
  double lr = 0.0;
  int64_t optimizer_step = 0;  // counted from 1
};

/// The StepValues in device memory that kernels launched now will read, or null if they use their
/// arguments.
const StepValues* step_values();

/// While a StepValuesScope exists, step_values() returns `values`: for capturing a graph.
class StepValuesScope {
 public:
  explicit StepValuesScope(const StepValues* values);
  ~StepValuesScope();
  StepValuesScope(const StepValuesScope&) = delete;
  StepValuesScope& operator=(const StepValuesScope&) = delete;
};

}  // namespace folio::cuda
