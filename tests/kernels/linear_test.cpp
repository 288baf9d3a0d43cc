#include <algorithm>
#include <cmath>
#include <cstdint>
#include <optional>
#include <vector>

#include "kernel_checks.h"
#include "unary_references.h"

namespace folio {
namespace {

/// Inputs above 0, where the logarithm is defined.
struct Layer {
  int64_t rows, in, out;
  std::vector<double> x, weight, bias, z;

  Layer(int64_t r, int64_t i, int64_t o, bool with_bias)
      : rows(r),
        in(i),
        out(o),
        x(numbers(r * i, 1, 0.1, 1.0)),
        weight(numbers(o * i, 2, 0.1, 1.0)),
        bias(with_bias ? numbers(o, 3, 0.1, 1.0) : std::vector<double>()) {
    for (double& w : weight) w /= static_cast<double>(in);
    for (double& w : weight) w = static_cast<float>(w);
    for (int64_t row = 0; row < rows; ++row) {
      for (int64_t column = 0; column < out; ++column) {
        double sum = with_bias ? bias[column] : 0.0;
        for (int64_t j = 0; j < in; ++j) sum += x[row * in + j] * weight[column * in + j];
        z.push_back(sum);
      }
    }
  }

  std::vector<double> activated(UnaryOp op) const {
    std::vector<double> y;
    const auto apply = unary_references()[static_cast<size_t>(op)].value;
    for (const double value : z) y.push_back(apply(value));
    return y;
  }
};

void expect_layer(const Layer& layer, DType dtype, std::optional<UnaryOp> op, bool keep) {
  const Shape shape = {layer.rows, layer.out};
  const std::vector<double> nan(layer.z.size(), std::nan(""));
  const Tensor y = tensor_of(shape, nan, dtype);
  const Tensor z = keep ? tensor_of(shape, nan, dtype) : Tensor();
  const Tensor x = tensor_of({layer.rows, layer.in}, layer.x, dtype);
  const Tensor weight = tensor_of({layer.out, layer.in}, layer.weight, dtype);
  const Tensor bias = layer.bias.empty() ? Tensor() : tensor_of({layer.out}, layer.bias, dtype);
  tested_kernels().linear_forward(y, z, x, weight, bias, op);
  const double tolerance = tolerance_for(dtype, 2e-6);
  expect_each_near(y, op ? layer.activated(*op) : layer.z, tolerance);
  if (keep && op) expect_each_near(z, layer.z, tolerance);
}

TEST(LinearForward, AddsBiasAndAppliesEveryActivation) {
  for (const bool with_bias : {false, true}) {
    for (const int64_t rows : {1, 3, 65}) {
      for (const int64_t in : {1, 17, 130}) {
        for (const int64_t out : {1, 5, 33, 130}) {
          const Layer layer(rows, in, out, with_bias);
          for (const DType dtype : floating_types) {
            SCOPED_TRACE(testing::Message() << name_of(dtype) << " rows " << rows << " in " << in
                                            << " out " << out << " bias " << with_bias);
            expect_layer(layer, dtype, std::nullopt, false);
            for (const UnaryReference& reference : unary_references()) {
              expect_layer(layer, dtype, reference.op, false);
              expect_layer(layer, dtype, reference.op, true);
            }
          }
        }
      }
    }
  }
}

TEST(LinearForward, OfNegativeNumbersToo) {
  Layer layer(33, 17, 65, true);
  layer.bias.assign(layer.bias.size(), 0.0);
  for (size_t i = 0; i < layer.z.size(); ++i) {
    layer.bias[i % 65] = -1.0 + 2.0 * static_cast<double>(i % 65) / 64.0;
  }
  for (int64_t row = 0; row < layer.rows; ++row) {
    for (int64_t column = 0; column < layer.out; ++column) {
      double sum = static_cast<float>(layer.bias[column]);
      layer.bias[column] = sum;
      for (int64_t j = 0; j < layer.in; ++j) {
        sum += layer.x[row * layer.in + j] * layer.weight[column * layer.in + j];
      }
      layer.z[row * layer.out + column] = sum;
    }
  }
  for (const DType dtype : floating_types) {
    for (const UnaryOp op : {UnaryOp::relu, UnaryOp::gelu, UnaryOp::gelu_tanh, UnaryOp::tanh}) {
      expect_layer(layer, dtype, op, true);
    }
  }
}

TEST(LinearForward, IsTheSameBitsForAnyNumberOfThreads) {
  const Layer layer(300, 65, 130, true);
  const Tensor x = tensor_of({3, 100, 65}, layer.x, DType::f32);
  const Tensor weight = tensor_of({130, 65}, layer.weight, DType::f32);
  const Tensor bias = tensor_of({130}, layer.bias, DType::f32);
  const UnaryOp op = UnaryOp::gelu;
  expect_same_with_any_threads([&] {
    const Tensor y({3, 100, 130}, DType::f32), z({3, 100, 130}, DType::f32);
    tested_kernels().linear_forward(y, z, x, weight, bias, op);
    return std::vector<Tensor>{y, z};
  });
}

}  // namespace
}  // namespace folio
