#include "folio/kernels/threads.h"

#ifdef _OPENMP
#include <omp.h>
#endif

namespace folio {

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

}  // namespace folio
