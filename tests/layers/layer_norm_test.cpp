// The layer norm layer, alone and after a residual connection.
#include "folio/layers/layer_norm.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

#include "folio/layers/dropout.h"
#include "support/gradcheck.h"

namespace folio {
namespace {

using testing::Each;

TEST(LayerNormLayer, GainIsOneAndBiasZeroAtFirst) {
  for (bool bias : {false, true}) {
    ParameterStore store(DType::f64);
    const LayerNorm layer(Scope(store) / "norm", 5, bias);
    store.initialize(1);
    EXPECT_THAT(values_of(layer.weight->value), Each(1.0));
    EXPECT_EQ(layer.bias != nullptr, bias);
    EXPECT_FALSE(layer.weight->decay);
    const Variable x{random_tensor({4, 5}, 4)};
    Tape tape;
    const std::vector<double> y = values_of(layer(tape, x).value);
    for (int row = 0; row < 4; ++row) {
      double mean = 0.0, square = 0.0;
      for (int c = 0; c < 5; ++c) mean += y[row * 5 + c] / 5.0;
      for (int c = 0; c < 5; ++c) square += y[row * 5 + c] * y[row * 5 + c] / 5.0;
      EXPECT_NEAR(mean, 0.0, 1e-14);
      EXPECT_NEAR(square, 1.0, 1e-3);
    }
    expect_parameter_gradients(store, [&](Tape& t) { return layer(t, x); });
  }
}

TEST(LayerNormLayer, TogetherWithTheResidualItEqualsItsParts) {
  for (bool bias : {false, true}) {
    ParameterStore store(DType::f64);
    const LayerNorm layer(Scope(store) / "norm", 5, bias);
    const Dropout drop(Scope(store) / "residual", 0.3);
    store.initialize(1);
    randomize(store, 5, 0.5);
    expect_same_function(
        {random_tensor({4, 5}, 6), random_tensor({4, 5}, 7)},
        [&](Tape& t, const auto& x) {
          const NormalizedSum y = layer(t, x[0], x[1], drop);
          return multiply(t, y.sum, y.normalized);
        },
        [&](Tape& t, const auto& x) {
          const Variable sum = add(t, x[0], drop(t, x[1]));
          return multiply(t, sum, layer(t, sum));
        });
  }
}

}  // namespace
}  // namespace folio
