// How many threads the CPU's kernels use.
#pragma once

namespace folio {

/// Sets the number of threads; 0 leaves it at OpenMP's own choice. Does nothing where OpenMP was
/// not built in. Results do not depend on it.
void set_threads(int count);

/// The threads that kernels use now; 1 where OpenMP was not built in.
int threads();

}  // namespace folio
