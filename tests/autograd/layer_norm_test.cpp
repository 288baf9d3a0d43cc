// Layer norm, alone and after residual connection and dropout.
#include <fmt/core.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <optional>
#include <vector>

#include "folio/autograd/ops.h"
#include "support/gradcheck.h"
#include "support/temporary.h"

namespace folio {
namespace {

using testing::AllOf;
using testing::HasSubstr;

const Shape shapes[] = {{5}, {1, 7}, {3, 4}, {4, 37}, {2, 3, 5}, {2, 1, 2, 9}};

Tensor gain_of(const Shape& shape, uint64_t seed) {
  return random_tensor({shape.columns()}, seed, 0.5, 1.5);
}
Tensor bias_of(const Shape& shape, uint64_t seed) { return random_tensor({shape.columns()}, seed); }

TEST(LayerNorm, Values) {
  for (const Shape& shape : shapes) {
    SCOPED_TRACE(shape.to_string());
    const Tensor x = random_tensor(shape, 1), gain = gain_of(shape, 2), bias = bias_of(shape, 3);
    const double eps = 1e-3;
    const std::vector<double> vx = values_of(x), vg = values_of(gain), vb = values_of(bias);
    const int64_t columns = shape.columns();
    const double n = static_cast<double>(columns);
    std::vector<double> expected;
    for (int64_t row = 0; row < shape.rows(); ++row) {
      const double* p = vx.data() + row * columns;
      double mean = 0.0, variance = 0.0;
      for (int64_t c = 0; c < columns; ++c) mean += p[c] / n;
      for (int64_t c = 0; c < columns; ++c) variance += (p[c] - mean) * (p[c] - mean) / n;
      for (int64_t c = 0; c < columns; ++c) {
        expected.push_back((p[c] - mean) / std::sqrt(variance + eps) * vg[c] + vb[c]);
      }
    }
    Tape tape;
    const Variable b{bias};
    const Variable y = layer_norm(tape, {x}, {gain}, b, eps);
    EXPECT_EQ(y.shape(), shape);
    expect_close(values_of(y.value), expected, 1e-13, "value");
  }
}

TEST(LayerNorm, Gradients) {
  for (const Shape& shape : shapes) {
    SCOPED_TRACE(shape.to_string());
    const Tensor x = random_tensor(shape, 4), gain = gain_of(shape, 5), bias = bias_of(shape, 6);
    expect_gradients({x, gain, bias},
                     [](Tape& tape, const auto& v) { return layer_norm(tape, v[0], v[1], v[2]); });
    expect_gradients({x, gain}, [](Tape& tape, const auto& v) {
      return layer_norm(tape, v[0], v[1], std::nullopt, 1e-3);
    });
  }
}

TEST(LayerNorm, OneColumnIsTheBias) {
  // x - mean is 0, so nothing but the bias is left, and x has no influence.
  const Tensor x = random_tensor({4, 1}, 7), gain = gain_of({4, 1}, 8), bias = bias_of({4, 1}, 9);
  Tape tape;
  expect_passed(check_gradients(
      {x, gain, bias},
      [](Tape& t, const auto& v) { return weighted_sum(t, layer_norm(t, v[0], v[1], v[2])); },
      tape));
  const Variable b{bias};
  const Variable y = layer_norm(tape, {x}, {gain}, b);
  EXPECT_EQ(values_of(y.value), std::vector<double>(4, bias.item()));
}

TEST(LayerNorm, LargeMeanDoesNotDrownTheVariance) {
  Tape tape;
  const Variable x{tensor_of({1, 4}, {4096.0, 4097.0, 4098.0, 4099.0}, DType::f32)};
  const Variable gain{tensor_of({4}, {1.0, 1.0, 1.0, 1.0}, DType::f32)};
  const double rstd = 1.0 / std::sqrt(1.25 + 1e-5);
  expect_close(values_of(layer_norm(tape, x, gain, std::nullopt).value),
               {-1.5 * rstd, -0.5 * rstd, 0.5 * rstd, 1.5 * rstd}, 1e-5, "value");
}

TEST(LayerNorm, SharedGainAndNorm) {
  expect_gradients({random_tensor({3, 5}, 11), gain_of({5}, 12), bias_of({5}, 13)},
                   [](Tape& tape, const auto& v) {
                     const Variable once = layer_norm(tape, v[0], v[1], v[2]);
                     return layer_norm(tape, add(tape, once, v[0]), v[1], v[2]);
                   });
}

enum class Uses { sum, normalized, both };

Variable use(Tape& tape, const NormalizedSum& y, Uses uses) {
  if (uses == Uses::sum) return y.sum;
  if (uses == Uses::normalized) return y.normalized;
  return add(tape, multiply(tape, y.sum, y.normalized), y.sum);
}

TEST(ResidualDropoutLayerNorm, Gradients) {
  for (const Shape& shape : shapes) {
    const Tensor residual = random_tensor(shape, 14), x = random_tensor(shape, 15);
    const Tensor gain = gain_of(shape, 16), bias = bias_of(shape, 17);
    for (double probability : {0.0, 0.3}) {
      for (Uses uses : {Uses::sum, Uses::normalized, Uses::both}) {
        SCOPED_TRACE(fmt::format("{} dropout {} uses {}", shape.to_string(), probability,
                                 static_cast<int>(uses)));
        // With only the sum in use nothing reaches gain and bias: they are left out.
        std::vector<Tensor> inputs = {residual, x};
        if (uses == Uses::sum) {
          expect_gradients(inputs, [&](Tape& tape, const auto& v) {
            const std::vector<double> ones(shape.columns(), 1.0);
            const Variable g{tensor_of({shape.columns()}, ones, v[0].value.dtype())};
            return residual_dropout_layer_norm(tape, v[0], v[1], probability, 5, g, std::nullopt)
                .sum;
          });
          continue;
        }
        inputs.push_back(gain);
        expect_gradients(inputs, [&](Tape& tape, const auto& v) {
          return use(
              tape,
              residual_dropout_layer_norm(tape, v[0], v[1], probability, 5, v[2], std::nullopt),
              uses);
        });
        inputs.push_back(bias);
        expect_gradients(inputs, [&](Tape& tape, const auto& v) {
          return use(tape,
                     residual_dropout_layer_norm(tape, v[0], v[1], probability, 5, v[2], v[3]),
                     uses);
        });
      }
    }
  }
}

TEST(ResidualDropoutLayerNorm, EqualsItsParts) {
  for (double probability : {0.0, 0.3}) {
    for (Uses uses : {Uses::normalized, Uses::both}) {
      expect_same_function(
          {random_tensor({2, 3, 7}, 18), random_tensor({2, 3, 7}, 19), gain_of({7}, 20),
           bias_of({7}, 21)},
          [&](Tape& tape, const auto& v) {
            return use(tape,
                       residual_dropout_layer_norm(tape, v[0], v[1], probability, 9, v[2], v[3]),
                       uses);
          },
          [&](Tape& tape, const auto& v) {
            const Variable sum = add(tape, v[0], dropout(tape, v[1], probability, 9));
            return use(tape, {sum, layer_norm(tape, sum, v[2], v[3])}, uses);
          });
    }
  }
}

TEST(ResidualDropoutLayerNorm, BothInputsTheSameVariable) {
  for (double probability : {0.0, 0.3}) {
    for (Uses uses : {Uses::normalized, Uses::both}) {
      expect_gradients({random_tensor({3, 5}, 22), gain_of({5}, 23)}, [&](Tape& tape,
                                                                          const auto& v) {
        return use(
            tape, residual_dropout_layer_norm(tape, v[0], v[0], probability, 9, v[1], std::nullopt),
            uses);
      });
    }
  }
}

TEST(ResidualDropoutLayerNorm, SumAlsoFeedsWhatComesLater) {
  // As in a pre-norm block: the sum goes on beside the layer that reads the norm, so its gradient
  // arrives from two sides and is then shared by both summands.
  expect_gradients(
      {random_tensor({2, 5}, 24), random_tensor({2, 5}, 25), gain_of({5}, 26)},
      [](Tape& tape, const auto& v) {
        const Variable x = tanh(tape, v[1]), stream = exp(tape, v[0]);
        NormalizedSum y = residual_dropout_layer_norm(tape, stream, x, 0.3, 1, v[2], std::nullopt);
        const Variable update = tanh(tape, y.normalized);
        y = residual_dropout_layer_norm(tape, y.sum, update, 0.0, 2, v[2], std::nullopt);
        return multiply(tape, add(tape, y.sum, x), y.normalized);
      });
}

TEST(LayerNorm, ErrorsNameTheOpAndBothShapes) {
  Tape tape;
  const Variable x{random_tensor({2, 3}, 27)}, gain{random_tensor({3}, 28)};
  const Variable wrong{random_tensor({4}, 29)}, single{tensor_of({3}, {1, 1, 1}, DType::f32)};
  const auto error = [&](const Variable& input, const Variable& g,
                         const std::optional<Variable>& bias) {
    return error_of([&] { layer_norm(tape, input, g, bias); });
  };
  EXPECT_THAT(error(x, wrong, std::nullopt),
              AllOf(HasSubstr("layer_norm: gain"), HasSubstr("(4)"), HasSubstr("wanted (3)")));
  EXPECT_THAT(error(x, gain, wrong),
              AllOf(HasSubstr("layer_norm: bias"), HasSubstr("(4)"), HasSubstr("wanted (3)")));
  EXPECT_THAT(error(x, single, std::nullopt),
              AllOf(HasSubstr("layer_norm: gain"), HasSubstr("f32 (3)"), HasSubstr("wanted f64")));
  EXPECT_THAT(error({random_tensor({}, 30)}, gain, std::nullopt),
              AllOf(HasSubstr("layer_norm: x"), HasSubstr("()")));
  EXPECT_THAT(error({Tensor({2, 0}, DType::f64)}, gain, std::nullopt), HasSubstr("(2, 0)"));
  EXPECT_THAT(error({random_indices({2, 3}, 31, 5)}, gain, std::nullopt), HasSubstr("i32 (2, 3)"));

  const Variable other{random_tensor({2, 4}, 32)};
  EXPECT_THAT(
      error_of([&] { residual_dropout_layer_norm(tape, other, x, 0.0, 0, gain, std::nullopt); }),
      AllOf(HasSubstr("residual_dropout_layer_norm: residual"), HasSubstr("(2, 4)"),
            HasSubstr("wanted (2, 3)")));
  EXPECT_THAT(
      error_of([&] { residual_dropout_layer_norm(tape, x, x, 1.0, 0, gain, std::nullopt); }),
      AllOf(HasSubstr("dropout"), HasSubstr("below 1")));
}

}  // namespace
}  // namespace folio
