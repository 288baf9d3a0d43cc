#include <cmath>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "kernel_checks.h"
#include "unary_references.h"

namespace folio {
namespace {

std::vector<double> mapped(const std::vector<double>& x, const std::function<double(double)>& f) {
  std::vector<double> y;
  for (const double v : x) y.push_back(f(v));
  return y;
}

class Unary : public testing::TestWithParam<UnaryReference> {};

TEST_P(Unary, ForwardAgrees) {
  const UnaryReference& reference = GetParam();
  for (const DType dtype : floating_types) {
    for (const int64_t n : {1, 3, 17, 65, 1000, 40000}) {
      SCOPED_TRACE(testing::Message() << name_of(dtype) << " of " << n);
      const auto x = numbers(n, 1, reference.positive ? 1e-3 : -6.0, 6.0);
      const Tensor y({n}, dtype);
      tested_kernels().unary_forward(reference.op, y, tensor_of({n}, x, dtype));
      expect_each_near(y, mapped(x, reference.value), tolerance_for(dtype, 4e-7));
    }
  }
}

TEST_P(Unary, BackwardAgrees) {
  const UnaryReference& reference = GetParam();
  for (const DType dtype : floating_types) {
    for (const int64_t n : {1, 3, 17, 65, 1000, 40000}) {
      SCOPED_TRACE(testing::Message() << name_of(dtype) << " of " << n);
      const auto x = numbers(n, 2, reference.positive ? 0.1 : -6.0, 6.0);
      const auto dy = numbers(n, 3);
      std::vector<double> expected = mapped(x, reference.slope);
      for (size_t i = 0; i < expected.size(); ++i) expected[i] *= dy[i];
      const Tensor kept = reference.slope_from_y ? tensor_of({n}, mapped(x, reference.value), dtype)
                                                 : tensor_of({n}, x, dtype);
      const Tensor kept_x = reference.slope_from_y ? Tensor() : kept;
      const Tensor kept_y = reference.slope_from_y ? kept : Tensor();
      const Tensor slope = tensor_of({n}, dy, dtype);
      const double tolerance = tolerance_for(dtype, 1e-6);
      expect_target({n}, dtype, expected, tolerance, [&](GradTarget dx) {
        tested_kernels().unary_backward(reference.op, dx, kept_x, kept_y, slope);
      });
      tested_kernels().unary_backward(reference.op, {&slope, false}, kept_x, kept_y, slope);
      SCOPED_TRACE("in place");
      expect_each_near(slope, expected, tolerance);
    }
  }
}

TEST_P(Unary, ForwardPassesExtremesAsTheStandardLibraryDoes) {
  const UnaryReference& reference = GetParam();
  for (const DType dtype : floating_types) {
    const double denormal = dtype == DType::f32 ? 1e-40 : 1e-310;
    std::vector<double> x = {0.0,  1.0,   std::nan(""), infinity, denormal, 100.0,
                             88.5, 1e-20, 1e20,         0.5,      2.0,      1.0 / 3};
    for (const double v : {-1e-20, -0.5, -20.0, -100.0, -87.5, -103.0, -denormal}) {
      if (!reference.positive) x.push_back(v);
    }
    if (reference.op == UnaryOp::log) x.insert(x.end(), {-1.0, -infinity});
    if (reference.op == UnaryOp::exp || reference.op == UnaryOp::tanh ||
        reference.op == UnaryOp::sigmoid || reference.op == UnaryOp::relu) {
      x.push_back(-infinity);
    }
    const auto n = static_cast<int64_t>(x.size());
    const Tensor input = tensor_of({n}, x, dtype), y({n}, dtype);
    x = values_of(input);
    tested_kernels().unary_forward(reference.op, y, input);
    std::vector<double> expected = mapped(x, reference.value);
    if (reference.op == UnaryOp::relu) expected[2] = std::nan("");
    SCOPED_TRACE(name_of(dtype));
    expect_each_near(y, values_of(tensor_of({n}, expected, dtype)), tolerance_for(dtype, 1e-6));
  }
}

TEST_P(Unary, LargeInputsHaveFiniteSlopes) {
  const UnaryReference& reference = GetParam();
  for (const DType dtype : floating_types) {
    const std::vector<double> x =
        reference.positive ? std::vector<double>{1e-3, 100.0} : std::vector<double>{-100.0, 80.0};
    const Tensor input = tensor_of({2}, x, dtype), y({2}, dtype), dx({2}, dtype);
    tested_kernels().unary_forward(reference.op, y, input);
    const Tensor dy = tensor_of({2}, {1.0, 1.0}, dtype);
    tested_kernels().unary_backward(reference.op, {&dx, false}, input, y, dy);
    expect_each_near(dx, mapped(values_of(input), reference.slope), tolerance_for(dtype, 1e-5));
  }
}

TEST_P(Unary, SameWithAnyThreads) {
  const UnaryReference& reference = GetParam();
  const int64_t n = 100003;
  const Tensor x = tensor_of({n}, numbers(n, 4, 0.01, 5.0), DType::f32);
  expect_same_with_any_threads([&] {
    const Tensor y({n}, DType::f32), dx({n}, DType::f32);
    tested_kernels().unary_forward(reference.op, y, x);
    tested_kernels().unary_backward(reference.op, {&dx, false}, x, y, x);
    return std::vector<Tensor>{y, dx};
  });
}

INSTANTIATE_TEST_SUITE_P(Kernels, Unary, testing::ValuesIn(unary_references()),
                         [](const auto& info) { return std::string(info.param.name); });

TEST(UnaryKernels, ReluHasSlopeZeroAtZero) {
  const Tensor x = tensor_of({2}, {0.0, -0.0}, DType::f32), dx({2}, DType::f32);
  tested_kernels().unary_backward(UnaryOp::relu, {&dx, false}, x, Tensor(),
                                  tensor_of({2}, {1.0, 1.0}, DType::f32));
  EXPECT_EQ(values_of(dx), (std::vector<double>{0.0, 0.0}));
}

TEST(UnaryKernels, ExpIsAccurateOverItsWholeRange) {
  const int64_t n = 20001;
  const Tensor y({n}, DType::f32);
  const auto x = numbers(n, 5, -87.0, 88.5);
  tested_kernels().unary_forward(UnaryOp::exp, y, tensor_of({n}, x, DType::f32));
  const auto values = values_of(y);
  for (size_t i = 0; i < values.size(); ++i) {
    ASSERT_NEAR(values[i] / std::exp(x[i]), 1.0, 1.5e-7) << "exp(" << x[i] << ")";
  }
}

}  // namespace
}  // namespace folio
