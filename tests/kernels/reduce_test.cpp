#include <cstdint>
#include <vector>

#include "kernel_checks.h"

namespace folio {
namespace {

const std::vector<Shape> matrices = {{1, 1},    {3, 1},     {1, 17},    {65, 3},    {2, 3, 17},
                                     {7, 1000}, {1000, 65}, {5000, 33}, {2, 50257}, {300, 1100}};

TEST(ReduceKernels, SumOverEverything) {
  for (const DType dtype : floating_types) {
    for (const Shape& shape : matrices) {
      const auto x = numbers(shape.numel(), 1);
      double sum = 0.0;
      for (const double v : x) sum += v;
      const Tensor y(Shape{}, dtype);
      tested_kernels().sum_forward(y, tensor_of(shape, x, dtype), 0.5);
      expect_each_near(y, {0.5 * sum}, tolerance_for(dtype, 2e-6) * 20);
    }
  }
}

TEST(ReduceKernels, LongSumsStayAccurate) {
  const int64_t n = 3000000;
  const Tensor x({n}, DType::f32), y(Shape{}, DType::f32);
  tested_kernels().fill(x, 0.1);
  tested_kernels().sum_forward(y, x, 1.0);
  EXPECT_NEAR(y.item() / (0.1f * static_cast<double>(n)), 1.0, 1e-6);
  const Tensor columns({3}, DType::f32);
  tested_kernels().sum_rows({&columns, false}, x.reshape({n / 3, 3}));
  for (const double sum : values_of(columns)) {
    EXPECT_NEAR(sum / (0.1f * static_cast<double>(n / 3)), 1.0, 2e-6);
  }
}

TEST(ReduceKernels, SumOverTheLastAxis) {
  for (const DType dtype : floating_types) {
    for (const Shape& shape : matrices) {
      if (shape.rows() == 1) continue;  // y would have one element: the sum over everything
      const auto x = numbers(shape.numel(), 2);
      const auto columns = static_cast<size_t>(shape.columns());
      std::vector<double> sums(static_cast<size_t>(shape.rows()));
      for (size_t i = 0; i < x.size(); ++i) sums[i / columns] += 2.0 * x[i];
      const Tensor y(shape.without_last(), dtype);
      tested_kernels().sum_forward(y, tensor_of(shape, x, dtype), 2.0);
      expect_each_near(y, sums, tolerance_for(dtype, 2e-6) * 10);
    }
  }
}

TEST(ReduceKernels, SumBackwardSpreads) {
  for (const DType dtype : floating_types) {
    for (const Shape& shape : matrices) {
      const auto dy = numbers(shape.rows(), 3);
      const auto columns = static_cast<size_t>(shape.columns());
      std::vector<double> by_row(static_cast<size_t>(shape.numel()));
      for (size_t i = 0; i < by_row.size(); ++i) by_row[i] = 0.25 * dy[i / columns];
      const Tensor rows = tensor_of(shape.without_last(), dy, dtype);
      expect_target(shape, dtype, by_row, tolerance_for(dtype, 2e-7),
                    [&](GradTarget dx) { tested_kernels().sum_backward(dx, rows, 0.25); });
      const std::vector<double> everywhere(by_row.size(), -1.5 * dy[0]);
      const Tensor one = tensor_of({}, {dy[0]}, dtype);
      expect_target(shape, dtype, everywhere, tolerance_for(dtype, 2e-7),
                    [&](GradTarget dx) { tested_kernels().sum_backward(dx, one, -1.5); });
    }
  }
}

TEST(ReduceKernels, SumOverRows) {
  for (const DType dtype : floating_types) {
    for (const Shape& shape : matrices) {
      SCOPED_TRACE(shape.to_string());
      const auto x = numbers(shape.numel(), 4);
      const auto columns = static_cast<size_t>(shape.columns());
      std::vector<double> sums(columns);
      for (size_t i = 0; i < x.size(); ++i) sums[i % columns] += x[i];
      const Tensor input = tensor_of(shape, x, dtype);
      expect_target({shape.columns()}, dtype, sums, tolerance_for(dtype, 1e-6) * 10,
                    [&](GradTarget y) { tested_kernels().sum_rows(y, input); });
    }
  }
}

TEST(ReduceKernels, SumOverTheFirstAxis) {
  for (const DType dtype : floating_types) {
    for (const Shape& shape : {Shape{1, 3}, Shape{12, 64, 40}, Shape{5, 7, 3}, Shape{600, 2, 9}}) {
      SCOPED_TRACE(shape.to_string());
      const auto x = numbers(shape.numel(), 5);
      const auto rest = static_cast<size_t>(shape.numel() / shape[0]);
      std::vector<double> sums(rest);
      for (size_t i = 0; i < x.size(); ++i) sums[i % rest] += x[i];
      const Tensor input = tensor_of(shape, x, dtype);
      expect_target({static_cast<int64_t>(rest)}, dtype, sums, tolerance_for(dtype, 1e-6) * 10,
                    [&](GradTarget y) { tested_kernels().sum_first(y, input); });
    }
  }
}

TEST(ReduceKernels, SameWithAnyThreads) {
  const Tensor x = tensor_of({5000, 65}, numbers(325000, 6), DType::f32);
  expect_same_with_any_threads([&] {
    const Tensor all(Shape{}, DType::f32), rows({5000}, DType::f32), columns({65}, DType::f32);
    const Tensor spread({5000, 65}, DType::f32), first({65}, DType::f32);
    tested_kernels().sum_forward(all, x, 1.0);
    tested_kernels().sum_forward(rows, x, 1.0);
    tested_kernels().sum_backward({&spread, false}, rows, 1.0);
    tested_kernels().sum_rows({&columns, false}, x);
    tested_kernels().sum_first({&first, false}, x);
    return std::vector<Tensor>{all, rows, columns, spread, first};
  });
}

}  // namespace
}  // namespace folio
