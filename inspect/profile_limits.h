// Measures the limits of this machine: matrix products and copies of given sizes.
#pragma once

#include <cstdint>
#include <map>

#include "folio/kernels/matrix_product.h"

namespace folio {

/// Measures each limit once, at its first use. The operands stay where the last repetition left
/// them (in the caches, if they fit).
class MachineLimits {
 public:
  explicit MachineLimits(Device device) : device_(device) {}

  /// Seconds of baseline_gemm(), or of the same product by cuBLASLt on a GPU; the best of
  /// several.
  double product_seconds(const MatrixProduct& product);
  /// Seconds to read and write `bytes` bytes in total with Folio's copy kernel, at the rate
  /// measured for the next power of two (at least 64 KiB, at most 512 MiB).
  double copy_seconds(double bytes);

 private:
  Device device_;
  std::map<MatrixProduct, double> products_;
  std::map<int64_t, double> copies_;  // bytes per second, by the bytes moved
};

}  // namespace folio
