// What this machine can do: matrix products alone, and copies, at the sizes that are asked for.
#pragma once

#include <cstdint>
#include <map>

#include "folio/kernels/library_product.h"

namespace folio {

/// Measures each thing once, at its first use, with its operands where the last repetition left
/// them (in the caches, where they fit).
class MachineLimits {
 public:
  explicit MachineLimits(Device device) : device_(device) {}

  /// Seconds of library_product(), on a GPU of the same product by cuBLASLt; the best of several.
  double product_seconds(const MatrixProduct& product);
  /// Seconds to read and write so many bytes in all, by our copy kernel, at the rate measured at
  /// the next power of two (at least 64 KiB, at most 512 MiB).
  double copy_seconds(double bytes);

 private:
  Device device_;
  std::map<MatrixProduct, double> products_;
  std::map<int64_t, double> copies_;  // bytes a second, by the bytes moved
};

}  // namespace folio
