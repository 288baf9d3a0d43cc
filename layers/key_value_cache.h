// The keys and values of the positions that an attention layer has read, so that only new positions
// are computed.
#pragma once

#include <cstdint>

#include "folio/tensor/tensor.h"

namespace folio {

/// The cache that cached_attention() reads and appends to.
struct KeyValueCache {
  const Tensor& keys_values;  // (B, context, 2 C): keys and values side by side
  int64_t length;             // number of positions in the cache
};

}  // namespace folio
