// Keys and values of the positions that an attention layer has read, so that the next position is
// computed alone.
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
