#include <algorithm>
#include <cmath>
#include <vector>

#include "kernel_checks.h"

namespace folio {
namespace {

const std::vector<Shape> matrices = {{1, 1},    {3, 3},    {5, 17},   {2, 3, 65},
                                     {7, 1000}, {700, 65}, {2, 50257}};

/// Softmax, or its logarithm, of each row.
std::vector<double> softmax(const std::vector<double>& x, size_t columns, bool logarithm) {
  std::vector<double> y(x.size());
  for (size_t row = 0; row < x.size(); row += columns) {
    const double max = *std::max_element(x.begin() + row, x.begin() + row + columns);
    double sum = 0.0;
    for (size_t i = row; i < row + columns; ++i) sum += std::exp(x[i] - max);
    for (size_t i = row; i < row + columns; ++i) {
      y[i] = logarithm ? x[i] - max - std::log(sum) : std::exp(x[i] - max) / sum;
    }
  }
  return y;
}

TEST(SoftmaxKernels, ForwardAgrees) {
  for (const DType dtype : floating_types) {
    for (const Shape& shape : matrices) {
      for (const bool logarithm : {false, true}) {
        SCOPED_TRACE(testing::Message() << shape.to_string() << logarithm);
        const auto x = numbers(shape.numel(), 1, -20.0, 20.0);
        const Tensor y(shape, dtype);
        tested_kernels().softmax_forward(y, tensor_of(shape, x, dtype), logarithm);
        expect_each_near(y, softmax(x, static_cast<size_t>(shape.columns()), logarithm),
                         tolerance_for(dtype, 4e-7));
      }
    }
  }
}

TEST(SoftmaxKernels, ExtremesDoNotOverflow) {
  for (const DType dtype : floating_types) {
    const Tensor x = tensor_of({2, 3}, {1000.0, 999.0, -1000.0, -infinity, 5.0, 5.0}, dtype);
    const Tensor y({2, 3}, dtype);
    tested_kernels().softmax_forward(y, x, false);
    const double e = std::exp(-1.0);
    expect_each_near(y, {1.0 / (1.0 + e), e / (1.0 + e), 0.0, 0.0, 0.5, 0.5}, 1e-7);
    tested_kernels().softmax_forward(y, x, true);
    const double log_sum = std::log1p(e);
    expect_each_near(
        y, {-log_sum, -1 - log_sum, -2000.0 - log_sum, -infinity, -std::log(2.0), -std::log(2.0)},
        tolerance_for(dtype, 2e-7));
  }
}

TEST(SoftmaxKernels, NanSpreadsOverItsRowOnly) {
  const Tensor x = tensor_of({2, 17}, numbers(34, 2), DType::f32), y({2, 17}, DType::f32);
  x.data<float>()[3] = std::nanf("");
  for (const bool logarithm : {false, true}) {
    tested_kernels().softmax_forward(y, x, logarithm);
    const auto values = values_of(y);
    for (size_t i = 0; i < 34; ++i) EXPECT_EQ(std::isnan(values[i]), i < 17);
  }
}

TEST(SoftmaxKernels, BackwardAgrees) {
  for (const DType dtype : floating_types) {
    for (const Shape& shape : matrices) {
      for (const bool logarithm : {false, true}) {
        SCOPED_TRACE(testing::Message() << shape.to_string() << logarithm);
        const auto columns = static_cast<size_t>(shape.columns());
        const Tensor y = tensor_of(
            shape, softmax(numbers(shape.numel(), 1, -3.0, 3.0), columns, logarithm), dtype);
        const Tensor dy = tensor_of(shape, numbers(shape.numel(), 2), dtype);
        const auto p = values_of(y), slope = values_of(dy);
        std::vector<double> dx(p.size());
        for (size_t row = 0; row < p.size(); row += columns) {
          double sum = 0.0;
          for (size_t i = row; i < row + columns; ++i) sum += slope[i] * (logarithm ? 1.0 : p[i]);
          for (size_t i = row; i < row + columns; ++i) {
            dx[i] = logarithm ? slope[i] - std::exp(p[i]) * sum : p[i] * (slope[i] - sum);
          }
        }
        expect_target(shape, dtype, dx, tolerance_for(dtype, 2e-6), [&](GradTarget target) {
          tested_kernels().softmax_backward(target, y, dy, logarithm);
        });
      }
    }
  }
}

TEST(SoftmaxKernels, SameWithAnyThreads) {
  const Shape shape{1500, 65};
  const Tensor x = tensor_of(shape, numbers(shape.numel(), 3), DType::f32);
  expect_same_with_any_threads([&] {
    const Tensor y(shape, DType::f32), dx(shape, DType::f32);
    tested_kernels().softmax_forward(y, x, false);
    tested_kernels().softmax_backward({&dx, false}, y, x, false);
    return std::vector<Tensor>{y, dx};
  });
}

}  // namespace
}  // namespace folio
