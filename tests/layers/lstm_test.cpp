// The LSTM layer against its equations, written out number by number.
#include "folio/layers/lstm.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "support/gradcheck.h"

namespace folio {
namespace {

constexpr int64_t batch = 2, length = 4, inputs = 3, width = 5;

double sigmoid_of(double x) { return 1.0 / (1.0 + std::exp(-x)); }

struct LstmTest : testing::Test {
  LstmTest() {
    store.initialize(1);
    randomize(store, 1, 0.7);
  }

  /// Row b of gates i, f, g, o, before their functions.
  std::vector<double> gates(const double* x, const std::vector<double>& h) const {
    const auto at = [](const Parameter* p, int64_t i) { return p->value.data<double>()[i]; };
    std::vector<double> result;
    for (int64_t row = 0; row < 4 * width; ++row) {
      double sum = at(layer.bias_ih, row) + at(layer.bias_hh, row);
      for (int64_t k = 0; k < inputs; ++k) sum += at(layer.weight_ih, row * inputs + k) * x[k];
      for (int64_t k = 0; k < width; ++k) sum += at(layer.weight_hh, row * width + k) * h[k];
      result.push_back(sum);
    }
    return result;
  }

  ParameterStore store{DType::f64};
  Lstm layer{Scope(store) / "layers.0", inputs, width};
  Tape tape;
};

TEST_F(LstmTest, FollowsItsEquations) {
  const Tensor x = random_tensor({batch, length, inputs}, 2);
  LstmState state;
  const Variable y = layer(tape, {x}, state);
  ASSERT_EQ(y.shape(), Shape({batch, length, width}));
  std::vector<double> wanted(batch * length * width);
  for (int64_t b = 0; b < batch; ++b) {
    std::vector<double> h(width, 0.0), c(width, 0.0);
    for (int64_t t = 0; t < length; ++t) {
      const std::vector<double> z = gates(x.data<double>() + (b * length + t) * inputs, h);
      for (int64_t k = 0; k < width; ++k) {
        c[k] = sigmoid_of(z[width + k]) * c[k] + sigmoid_of(z[k]) * std::tanh(z[2 * width + k]);
        h[k] = sigmoid_of(z[3 * width + k]) * std::tanh(c[k]);
        wanted[(b * length + t) * width + k] = h[k];
      }
    }
  }
  expect_close(values_of(y.value), wanted, 1e-13, "h");
}

TEST_F(LstmTest, AStateCarriesOn) {
  const Tensor x = random_tensor({batch, length, inputs}, 3);
  LstmState once, twice;
  const std::vector<double> whole = values_of(layer(tape, {x}, once).value);
  const Variable all{x};
  const Variable first = layer(tape, slice(tape, all, 1, 0, 1), twice);
  const Variable rest = layer(tape, slice(tape, all, 1, 1, length - 1), twice);
  expect_close(values_of(concat(tape, {first, rest}, 1).value), whole, 1e-14, "h");
  expect_close(values_of(twice.c.value), values_of(once.c.value), 1e-14, "c");
}

TEST_F(LstmTest, Gradients) {
  const Tensor x = random_tensor({batch, length, inputs}, 4);
  const auto loss = [&](Tape& t, const Variable& input) {
    LstmState state;
    return weighted_sum(t, layer(t, input, state));
  };
  expect_passed(check_gradients(
      store, [&](Tape& t) { return loss(t, {x}); }, tape));
  expect_passed(check_gradients(
      {x}, [&](Tape& t, const auto& v) { return loss(t, v[0]); }, tape));
}

TEST_F(LstmTest, FirstValuesAreThoseOfPyTorch) {
  ParameterStore fresh;
  const Lstm other(Scope(fresh) / "layer", 8, 64);
  fresh.initialize(1);
  double largest = 0.0;
  for (const float value : other.weight_hh->value.to_vector<float>()) {
    largest = std::max(largest, std::abs(double{value}));
  }
  EXPECT_LE(largest, 0.125);  // 1 / sqrt(64)
  EXPECT_GT(largest, 0.12);
}

}  // namespace
}  // namespace folio
