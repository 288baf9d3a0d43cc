// The keys and values of earlier positions, which an attention layer keeps so that decoding
// computes only the new ones.
#pragma once

#include <cstdint>

#include "folio/tensor/tensor.h"

namespace folio {

/// What cached_attention() reads and adds to.
struct KeyValueCache {
  const Tensor& keys_values;  // (B, context, 2 C): keys and values side by side
  int64_t length;             // positions that count
};

}  // namespace folio
