#include "folio/kernels/process.h"

#include <atomic>
#ifdef _OPENMP
#include <omp.h>
#endif

#include "folio/kernels/cuda/step_values.h"

namespace folio {
namespace {

std::atomic<bool> tf32_on = false;

}  // namespace

void set_threads([[maybe_unused]] int count) {
#ifdef _OPENMP
  if (count > 0) omp_set_num_threads(count);
#endif
}

int threads() {
#ifdef _OPENMP
  return omp_get_max_threads();
#else
  return 1;
#endif
}

void set_tf32(bool on) { tf32_on = on; }
bool tf32() { return tf32_on; }

namespace cuda {
namespace {

const StepValues* values_of_step = nullptr;

}  // namespace

const StepValues* step_values() { return values_of_step; }
StepValuesScope::StepValuesScope(const StepValues* values) { values_of_step = values; }
StepValuesScope::~StepValuesScope() { values_of_step = nullptr; }

}  // namespace cuda
}  // namespace folio
