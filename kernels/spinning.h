// Limits how long OpenMP's threads spin before they sleep.
#pragma once

namespace folio {

/// Call it first in main(), with main()'s argv. By default a waiting thread of GCC's OpenMP runtime
/// spins for milliseconds. That is fastest on an idle machine, but beside another busy process
/// threads wait for each other's time slices, and training becomes 10 to 70 times slower. The
/// runtime reads its settings when it is loaded, so this function sets a small GOMP_SPINCOUNT and
/// executes the program again. It returns without effect if GOMP_SPINCOUNT or OMP_WAIT_POLICY is
/// set, or if the program cannot be executed again.
void shorten_spinning(char** argv);

}  // namespace folio
