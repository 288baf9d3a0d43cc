#include <cmath>
#include <cstdint>
#include <vector>

#include "kernel_checks.h"

namespace folio {
namespace {

constexpr double eps = 1e-5;

const std::vector<Shape> matrices = {{1, 3},    {3, 17},    {2, 3, 65}, {4, 1000},
                                     {700, 32}, {1000, 65}, {300, 128}};

struct Reference {
  std::vector<double> y, mean, rstd, dx, dgain, dbias;
};

Reference reference(const std::vector<double>& x, const std::vector<double>& gain,
                    const std::vector<double>& bias, const std::vector<double>& dy) {
  const size_t n = gain.size();
  Reference r{x, {}, {}, x, std::vector<double>(n), std::vector<double>(n)};
  for (size_t row = 0; row < x.size(); row += n) {
    double mean = 0.0, variance = 0.0, e_mean = 0.0, eh_mean = 0.0;
    for (size_t i = 0; i < n; ++i) mean += x[row + i] / static_cast<double>(n);
    for (size_t i = 0; i < n; ++i) {
      variance += (x[row + i] - mean) * (x[row + i] - mean) / static_cast<double>(n);
    }
    const double rstd = 1.0 / std::sqrt(variance + eps);
    r.mean.push_back(mean);
    r.rstd.push_back(rstd);
    for (size_t i = 0; i < n; ++i) {
      const double h = (x[row + i] - mean) * rstd;
      r.y[row + i] = h * gain[i] + bias[i];
      r.dgain[i] += dy[row + i] * h;
      r.dbias[i] += dy[row + i];
      e_mean += dy[row + i] * gain[i] / static_cast<double>(n);
      eh_mean += dy[row + i] * gain[i] * h / static_cast<double>(n);
    }
    for (size_t i = 0; i < n; ++i) {
      const double h = (x[row + i] - mean) * rstd;
      r.dx[row + i] = rstd * (dy[row + i] * gain[i] - e_mean - h * eh_mean);
    }
  }
  return r;
}

struct Case {
  Shape shape;
  std::vector<double> x, gain, bias, dy;
  Reference expected;

  Case(const Shape& s, bool with_bias)
      : shape(s),
        x(numbers(s.numel(), 1, -1.0, 3.0)),
        gain(numbers(s.columns(), 2, 0.5, 1.5)),
        bias(with_bias ? numbers(s.columns(), 3) : std::vector<double>(gain.size())),
        dy(numbers(s.numel(), 4)),
        expected(reference(x, gain, bias, dy)) {}
};

TEST(LayerNormKernels, ForwardAgrees) {
  for (const DType dtype : floating_types) {
    for (const Shape& shape : matrices) {
      for (const bool with_bias : {false, true}) {
        SCOPED_TRACE(testing::Message() << name_of(dtype) << shape.to_string() << with_bias);
        const Case c(shape, with_bias);
        const Shape one = {shape.columns()}, rows = shape.without_last();
        const Tensor y(shape, dtype), mean(rows, dtype), rstd(rows, dtype);
        tested_kernels().layer_norm_forward(
            y, mean, rstd, tensor_of(shape, c.x, dtype), tensor_of(one, c.gain, dtype),
            with_bias ? tensor_of(one, c.bias, dtype) : Tensor(), eps);
        expect_each_near(y, c.expected.y, tolerance_for(dtype, 2e-6));
        expect_each_near(mean, c.expected.mean, tolerance_for(dtype, 1e-6));
        expect_each_near(rstd, c.expected.rstd, tolerance_for(dtype, 1e-6));
      }
    }
  }
}

TEST(LayerNormKernels, ALargeMeanDoesNotSpoilTheVariance) {
  const int64_t n = 384;
  auto x = numbers(n, 5);
  for (double& v : x) v = static_cast<float>(v + 4096.0);
  const std::vector<double> ones(n, 1.0), zeros(n, 0.0);
  const Reference expected = reference(x, ones, zeros, zeros);
  const Tensor y({1, n}, DType::f32), mean({1}, DType::f32), rstd({1}, DType::f32);
  tested_kernels().layer_norm_forward(y, mean, rstd, tensor_of({1, n}, x, DType::f32),
                                      tensor_of({n}, ones, DType::f32), Tensor(), eps);
  expect_each_near(rstd, expected.rstd, 1e-4);
}

TEST(LayerNormKernels, AddDropoutForwardAgrees) {
  for (const DType dtype : floating_types) {
    for (const Shape& shape : matrices) {
      for (const double probability : {0.0, 0.4}) {
        SCOPED_TRACE(testing::Message() << name_of(dtype) << shape.to_string() << probability);
        const DropoutMask mask{probability, {9, purpose_of("residual"), 2}, 1234567};
        const auto residual = numbers(shape.numel(), 6), x = numbers(shape.numel(), 7);
        std::vector<double> sum(x.size());
        for (size_t i = 0; i < x.size(); ++i) {
          const bool kept = mask.stream.bits(mask.first_index + i) >= mask.threshold();
          sum[i] = residual[i] + (kept ? x[i] * mask.scale() : 0.0);
        }
        const Case c(shape, true);
        const Reference expected = reference(sum, c.gain, c.bias, c.dy);
        const Shape one = {shape.columns()}, rows = shape.without_last();
        const Tensor total(shape, dtype), y(shape, dtype), mean(rows, dtype), rstd(rows, dtype);
        tested_kernels().add_dropout_layer_norm_forward(
            total, y, mean, rstd, tensor_of(shape, residual, dtype), tensor_of(shape, x, dtype),
            tensor_of(one, c.gain, dtype), tensor_of(one, c.bias, dtype), eps, mask);
        expect_each_near(total, sum, tolerance_for(dtype, 2e-7));
        expect_each_near(y, expected.y, tolerance_for(dtype, 4e-6));
        expect_each_near(rstd, expected.rstd, tolerance_for(dtype, 2e-6));
      }
    }
  }
}

TEST(LayerNormKernels, BackwardAgrees) {
  for (const DType dtype : floating_types) {
    for (const Shape& shape : matrices) {
      SCOPED_TRACE(testing::Message() << name_of(dtype) << shape.to_string());
      const Case c(shape, true);
      const Shape one = {shape.columns()}, rows = shape.without_last();
      const Tensor x = tensor_of(shape, c.x, dtype), gain = tensor_of(one, c.gain, dtype);
      const Tensor mean = tensor_of(rows, c.expected.mean, dtype);
      const Tensor rstd = tensor_of(rows, c.expected.rstd, dtype);
      const Tensor dy = tensor_of(shape, c.dy, dtype);
      const double tolerance = tolerance_for(dtype, 4e-6);
      const double sum_tolerance = tolerance * std::sqrt(static_cast<double>(shape.rows()));
      expect_target(shape, dtype, c.expected.dx, tolerance, [&](GradTarget dx) {
        tested_kernels().layer_norm_backward(dx, {}, {}, x, mean, rstd, gain, dy);
      });
      expect_target(one, dtype, c.expected.dgain, sum_tolerance, [&](GradTarget dgain) {
        tested_kernels().layer_norm_backward({}, dgain, {}, x, mean, rstd, gain, dy);
      });
      expect_target(one, dtype, c.expected.dbias, sum_tolerance, [&](GradTarget dbias) {
        const Tensor dx(shape, dtype), dgain(one, dtype);
        tested_kernels().layer_norm_backward({&dx, false}, {&dgain, false}, dbias, x, mean, rstd,
                                             gain, dy);
        expect_each_near(dgain, c.expected.dgain, sum_tolerance);
      });
    }
  }
}

TEST(LayerNormKernels, SameWithAnyThreads) {
  const Shape shape{1000, 128};
  const Case c(shape, true);
  const Tensor x = tensor_of(shape, c.x, DType::f32), dy = tensor_of(shape, c.dy, DType::f32);
  const Tensor gain = tensor_of({128}, c.gain, DType::f32);
  const DropoutMask mask{0.1, {}, 0};
  expect_same_with_any_threads([&] {
    const Tensor sum(shape, DType::f32), y(shape, DType::f32), dx(shape, DType::f32);
    const Tensor mean({1000}, DType::f32), rstd({1000}, DType::f32);
    const Tensor dgain({128}, DType::f32), dbias({128}, DType::f32);
    tested_kernels().add_dropout_layer_norm_forward(sum, y, mean, rstd, x, dy, gain, Tensor(), eps,
                                                    mask);
    tested_kernels().layer_norm_backward({&dx, false}, {&dgain, false}, {&dbias, false}, sum, mean,
                                         rstd, gain, dy);
    return std::vector<Tensor>{sum, y, mean, rstd, dx, dgain, dbias};
  });
}

}  // namespace
}  // namespace folio
