#include "folio/layers/key_value_cache.h"

namespace folio {

KeyValueCache::KeyValueCache(const GptConfig& config, int64_t batch, DType dtype, Device device) {
  layers.reserve(config.layers);
  for (int64_t i = 0; i < config.layers; ++i) {
    layers.emplace_back(Shape{batch, config.context, 2 * config.width}, dtype, device);
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
