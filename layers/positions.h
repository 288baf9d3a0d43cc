// Positional encodings, which are added to token embeddings.
#pragma once

#include <cstdint>

#include "folio/autograd/parameters.h"
#include "folio/autograd/variable.h"

namespace folio {

enum class Positions : uint8_t { learned, sinusoidal };  // sinusoidal: Vaswani 2017, section 3.5

/// PE(t, 2i) = sin(t / 10000^(2i / width)), PE(t, 2i + 1) = cos of the same (Vaswani et al. 2017,
/// section 3.5): (context, width).
Tensor sinusoidal_positions(int64_t context, int64_t width, DType dtype, Device device);

class PositionalEncoding {
 public:
  /// learned: one trained vector per position, the parameter scope.weight; sinusoidal: none.
  PositionalEncoding(const Scope& scope, Positions kind, int64_t context, int64_t width);

  /// The table (context, width), of the type of `like`.
  Variable operator()(const Tensor& like) const;

 private:
  Parameter* weight_ = nullptr;  // learned
  int64_t context_, width_;
  mutable Tensor table_;  // sinusoidal; made at first use, when the type is known
};

}  // namespace folio
