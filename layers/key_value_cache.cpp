#include "folio/layers/key_value_cache.h"

namespace folio {

KeyValueCache::KeyValueCache(int64_t layers, int64_t batch, int64_t context, int64_t width,
                             DType dtype, Device device) {
  this->layers.reserve(layers);
  for (int64_t i = 0; i < layers; ++i) {
    this->layers.emplace_back(Shape{batch, context, 2 * width}, dtype, device);
  }
}

KeyValueCache KeyValueCache::sample(int64_t index) const {
  KeyValueCache one;
  one.layers.reserve(layers.size());
  for (const Tensor& layer : layers) {
    const Shape shape = layer.shape().with(0, 1);
    one.layers.push_back(layer.view(index * shape.numel(), shape));
  }
  return one;
}

}  // namespace folio
