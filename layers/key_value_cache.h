// Keys and values of the positions that a model has read, so that the next position is computed
// alone.
#pragma once

#include <cstdint>
#include <vector>

#include "folio/tensor/tensor.h"

namespace folio {

struct KeyValueCache {
  /// One layer's: what cached_attention() reads and adds to.
  struct Layer {
    const Tensor& keys_values;  // (B, context, 2 C)
    int64_t length;
  };

  /// Room for `context` positions of `batch` samples in each of `layers` layers of width `width`;
  /// no positions yet.
  KeyValueCache(int64_t layers, int64_t batch, int64_t context, int64_t width, DType dtype,
                Device device);

  int64_t batch() const { return layers.front().dim(0); }
  int64_t context() const { return layers.front().dim(1); }
  Layer layer(size_t index) const { return {layers[index], length}; }
  /// One sample's part of the same memory, as a cache of its own with no positions.
  KeyValueCache sample(int64_t index) const;

  std::vector<Tensor> layers;  // each (B, context, 2 C): keys and values side by side
  int64_t length = 0;          // positions that count, the same for every sample

 private:
  KeyValueCache() = default;
};

}  // namespace folio
