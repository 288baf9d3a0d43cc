// How long OpenMP's threads spin before they sleep.
#pragma once

namespace folio {

/// GCC's OpenMP runtime lets a waiting thread spin for milliseconds. On an idle machine that is the
/// fastest; beside any other busy process the threads wait for each other's time slices and
/// training becomes 10 to 70 times slower. The runtime reads its settings when it is loaded, so the
/// program starts itself once more with a short GOMP_SPINCOUNT. Returns, and changes nothing, where
/// GOMP_SPINCOUNT or OMP_WAIT_POLICY is set already or the program cannot be started again.
void wait_politely(char** argv);

}  // namespace folio
