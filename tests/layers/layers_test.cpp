// Linear, Embedding, positional encodings, LayerNorm, Dropout, FeedForward.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "folio/layers/dropout.h"
#include "folio/layers/embedding.h"
#include "folio/layers/feed_forward.h"
#include "folio/layers/layer_norm.h"
#include "folio/layers/linear.h"
#include "folio/layers/positions.h"
#include "support/gradcheck.h"

namespace folio {
namespace {

using testing::Each;
using testing::ElementsAre;

std::vector<std::string> names_of(const ParameterStore& store) {
  std::vector<std::string> names;
  for (const Parameter& parameter : store.parameters()) names.push_back(parameter.name);
  return names;
}

/// Initial values, then random ones; then the gradients of all parameters are checked.
void expect_parameter_gradients(ParameterStore& store,
                                const std::function<Variable(Tape&)>& function) {
  randomize(store, 3, 0.5);
  Tape tape;
  tape.set_training(true);
  expect_passed(check_gradients(
      store, [&](Tape& t) { return weighted_sum(t, function(t)); }, tape));
}

TEST(LinearLayer, ComputesItsFormula) {
  for (bool bias : {false, true}) {
    ParameterStore store(DType::f64);
    const Linear layer(Scope(store) / "up", 4, 3, bias, Init::normal(0.02), Activation::gelu);
    store.initialize(1);
    EXPECT_EQ(layer.weight->name, "up.weight");
    EXPECT_EQ(layer.weight->shape, Shape({3, 4}));
    EXPECT_EQ(layer.bias != nullptr, bias);
    if (bias) {
      EXPECT_EQ(layer.bias->name, "up.bias");
      EXPECT_THAT(values_of(layer.bias->value), Each(0.0));
    }
    randomize(store, 1, 0.5);
    const Variable x{random_tensor({2, 5, 4}, 2)};
    Tape tape;
    Variable z = matmul(tape, x, layer.weight->variable(), false, true);
    if (bias) z = add(tape, z, layer.bias->variable());
    const Variable y = layer(tape, x);
    EXPECT_EQ(y.shape(), Shape({2, 5, 3}));
    expect_close(values_of(y.value), values_of(gelu(tape, z).value), 1e-14, "value");
    expect_parameter_gradients(store, [&](Tape& t) { return layer(t, x); });
  }
}

TEST(EmbeddingLayer, GivesRowsOfItsTable) {
  ParameterStore store(DType::f64);
  const Embedding layer(Scope(store) / "tokens", 5, 3);
  store.initialize(1);
  EXPECT_EQ(layer.weight->name, "tokens.weight");
  const Tensor tokens = Tensor::from<int32_t>({1, 3}, {4, 0, 4});
  Tape tape;
  const Variable y = layer(tape, tokens);
  EXPECT_EQ(y.shape(), Shape({1, 3, 3}));
  const std::vector<double> table = values_of(layer.weight->value), value = values_of(y.value);
  for (int c = 0; c < 3; ++c) {
    EXPECT_EQ(value[c], table[12 + c]);
    EXPECT_EQ(value[3 + c], table[c]);
    EXPECT_EQ(value[6 + c], table[12 + c]);
  }
  expect_parameter_gradients(store, [&](Tape& t) { return layer(t, tokens); });
}

TEST(Positions, SinusoidalFollowsItsFormula) {
  for (DType dtype : {DType::f32, DType::f64}) {
    const int64_t context = 300, width = 6;
    const Tensor table = sinusoidal_positions(context, width, dtype, Device::cpu);
    EXPECT_EQ(table.shape(), Shape({context, width}));
    EXPECT_EQ(table.dtype(), dtype);
    const std::vector<double> values = values_of(table);
    const double tolerance = dtype == DType::f64 ? 1e-13 : 1e-7;
    const auto at = [&](int64_t t, int64_t c) { return values[t * width + c]; };
    EXPECT_EQ(std::vector<double>(values.begin(), values.begin() + 6),
              (std::vector<double>{0, 1, 0, 1, 0, 1}));
    EXPECT_NEAR(at(1, 0), std::sin(1.0), tolerance);
    EXPECT_NEAR(at(1, 1), std::cos(1.0), tolerance);
    EXPECT_NEAR(at(7, 2), std::sin(7.0 / std::pow(10000.0, 2.0 / 6.0)), tolerance);
    EXPECT_NEAR(at(7, 3), std::cos(7.0 / std::pow(10000.0, 2.0 / 6.0)), tolerance);
    EXPECT_NEAR(at(299, 4), std::sin(299.0 / std::pow(10000.0, 4.0 / 6.0)), tolerance);
    EXPECT_NEAR(at(299, 5), std::cos(299.0 / std::pow(10000.0, 4.0 / 6.0)), tolerance);
  }
  // An odd width ends with a sine.
  const std::vector<double> odd = values_of(sinusoidal_positions(2, 3, DType::f64, Device::cpu));
  EXPECT_NEAR(odd[5], std::sin(1.0 / std::pow(10000.0, 2.0 / 3.0)), 1e-15);
}

TEST(Positions, LearnedIsAParameterAndSinusoidalIsNot) {
  ParameterStore store(DType::f64);
  const PositionalEncoding learned(Scope(store) / "p", Positions::learned, 7, 4);
  const PositionalEncoding fixed(Scope(store) / "q", Positions::sinusoidal, 7, 4);
  store.initialize(1);
  EXPECT_THAT(names_of(store), ElementsAre("p.weight"));
  for (DType dtype : {DType::f64, DType::f32}) {
    const Tensor like({1}, dtype);
    const Variable table = fixed(like);
    EXPECT_FALSE(table.needs_grad());
    EXPECT_EQ(table.value.dtype(), dtype);
    EXPECT_EQ(values_of(table.value),
              values_of(sinusoidal_positions(7, 4, dtype, Device::cpu)));
  }
  const Variable table = learned(Tensor({1}, DType::f64));
  EXPECT_TRUE(table.needs_grad());
  EXPECT_EQ(table.shape(), Shape({7, 4}));
  EXPECT_EQ(table.value.raw(), store.find("p.weight").value.raw());
}

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

TEST(DropoutLayer, PlacesDrawDifferentNumbers) {
  ParameterStore store;
  const Dropout first(Scope(store) / "a", 0.5), second(Scope(store) / "b", 0.5);
  const Variable x{random_away_from_zero({10, 20}, 8)};
  Tape tape;
  tape.set_training(true);
  EXPECT_NE(values_of(first(tape, x).value), values_of(second(tape, x).value));
  EXPECT_EQ(values_of(first(tape, x).value), values_of(first(tape, x).value));
  tape.set_training(false);
  EXPECT_EQ(values_of(first(tape, x).value), values_of(x.value));
}

TEST(FeedForwardLayer, EqualsItsParts) {
  for (bool bias : {false, true}) {
    ParameterStore store(DType::f64);
    const FeedForward layer(Scope(store) / "mlp", 4, 7, bias, Activation::gelu_tanh);
    store.initialize(1);
    EXPECT_EQ(store.find("mlp.up.weight").shape, Shape({7, 4}));
    EXPECT_EQ(store.find("mlp.down.weight").shape, Shape({4, 7}));
    EXPECT_EQ(store.parameters().size(), bias ? 4u : 2u);
    randomize(store, 9, 0.5);
    const Variable x{random_tensor({3, 4}, 10)};
    Tape tape;
    const auto affine = [&](const Variable& in, const std::string& name) {
      const Variable z = matmul(tape, in, store.find(name + ".weight").variable(), false, true);
      return bias ? add(tape, z, store.find(name + ".bias").variable()) : z;
    };
    const Variable expected = affine(gelu_tanh(tape, affine(x, "mlp.up")), "mlp.down");
    expect_close(values_of(layer(tape, x).value), values_of(expected.value), 1e-14, "value");
    expect_parameter_gradients(store, [&](Tape& t) { return layer(t, x); });
  }
}

}  // namespace
}  // namespace folio
