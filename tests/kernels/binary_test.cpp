#include <cmath>
#include <functional>
#include <ostream>
#include <string>
#include <vector>

#include "kernel_checks.h"

namespace folio {
namespace {

struct Reference {
  const char* name;
  BinaryOp op;
  std::function<double(double, double)> value, slope_a, slope_b;
};
void PrintTo(const Reference& reference, std::ostream* out) { *out << reference.name; }

const std::vector<Reference> references = {
    {"add", BinaryOp::add, [](double a, double b) { return a + b; },
     [](double, double) { return 1.0; }, [](double, double) { return 1.0; }},
    {"subtract", BinaryOp::subtract, [](double a, double b) { return a - b; },
     [](double, double) { return 1.0; }, [](double, double) { return -1.0; }},
    {"multiply", BinaryOp::multiply, [](double a, double b) { return a * b; },
     [](double, double b) { return b; }, [](double a, double) { return a; }},
    {"divide", BinaryOp::divide, [](double a, double b) { return a / b; },
     [](double, double b) { return 1.0 / b; }, [](double a, double b) { return -a / (b * b); }},
};

struct Shapes {
  Shape y, a, b;
};

const std::vector<Shapes> shapes = {
    {{1}, {1}, {1}},
    {{17}, {17}, {17}},
    {{3, 5}, {3, 5}, {5}},
    {{3, 5}, {5}, {3, 5}},
    {{2, 3, 65}, {2, 3, 65}, {1}},
    {{2, 3, 65}, {}, {2, 3, 65}},
    {{130, 700}, {130, 700}, {130, 700}},
    {{130, 700}, {130, 700}, {700}},
    {{130, 700}, {700}, {130, 700}},
    {{130, 700}, {130, 700}, {}},
    {{9000, 3}, {9000, 3}, {3}},
    {{9000, 3}, {1}, {9000, 3}},
    {{50000, 1}, {50000, 1}, {1}},
    {{4, 7}, {7}, {1}},
    {{4, 7}, {7}, {7}},
};

/// The element of an operand that belongs to element i of the result.
size_t source(const Shape& operand, const Shape& y, size_t i) {
  if (operand.numel() == y.numel()) return i;
  return operand.numel() == 1 ? 0 : i % static_cast<size_t>(y.columns());
}

class Binary : public testing::TestWithParam<Reference> {};

TEST_P(Binary, AgreesInEveryBroadcast) {
  const Reference& reference = GetParam();
  for (const DType dtype : floating_types) {
    for (const Shapes& shape : shapes) {
      SCOPED_TRACE(testing::Message() << name_of(dtype) << " " << shape.a.to_string() << " with "
                                      << shape.b.to_string());
      const auto a = numbers(shape.a.numel(), 1), b = numbers(shape.b.numel(), 2, 0.5, 1.5);
      const auto dy = numbers(shape.y.numel(), 3);
      std::vector<double> y(dy.size()), da(a.size()), db(b.size());
      for (size_t i = 0; i < y.size(); ++i) {
        const size_t ia = source(shape.a, shape.y, i), ib = source(shape.b, shape.y, i);
        y[i] = reference.value(a[ia], b[ib]);
        da[ia] += dy[i] * reference.slope_a(a[ia], b[ib]);
        db[ib] += dy[i] * reference.slope_b(a[ia], b[ib]);
      }
      const Tensor ta = tensor_of(shape.a, a, dtype), tb = tensor_of(shape.b, b, dtype);
      const Tensor tdy = tensor_of(shape.y, dy, dtype), ty(shape.y, dtype);
      tested_kernels().binary_forward(reference.op, ty, ta, tb);
      expect_each_near(ty, y, tolerance_for(dtype, 3e-7));
      const auto terms_a = static_cast<double>(y.size() / a.size());
      const double tolerance_a = tolerance_for(dtype, 6e-7) * std::sqrt(terms_a);
      expect_target(shape.a, dtype, da, tolerance_a, [&](GradTarget target) {
        tested_kernels().binary_backward(reference.op, target, {}, ta, tb, tdy);
      });
      const auto terms_b = static_cast<double>(y.size() / b.size());
      const double tolerance_b = tolerance_for(dtype, 6e-7) * std::sqrt(terms_b);
      expect_target(shape.b, dtype, db, tolerance_b, [&](GradTarget target) {
        tested_kernels().binary_backward(reference.op, {}, target, ta, tb, tdy);
      });
    }
  }
}

TEST_P(Binary, BothGradientsMayGoToOneTensor) {
  const Reference& reference = GetParam();
  const auto a = numbers(50, 1, 0.5, 1.5), dy = numbers(50, 2);
  std::vector<double> expected(50);
  for (size_t i = 0; i < 50; ++i) {
    expected[i] = dy[i] * (reference.slope_a(a[i], a[i]) + reference.slope_b(a[i], a[i]));
  }
  const Tensor x = tensor_of({50}, a, DType::f64), dx({50}, DType::f64);
  tested_kernels().binary_backward(reference.op, {&dx, false}, {&dx, true}, x, x,
                                   tensor_of({50}, dy, DType::f64));
  expect_each_near(dx, expected, 1e-13);
}

TEST_P(Binary, SameWithAnyThreads) {
  const Reference& reference = GetParam();
  const Tensor a = tensor_of({1000, 130}, numbers(130000, 1), DType::f32);
  const Tensor b = tensor_of({130}, numbers(130, 2, 0.5, 1.5), DType::f32);
  const Tensor c = tensor_of({}, {0.3}, DType::f32);
  expect_same_with_any_threads([&] {
    const Tensor y({1000, 130}, DType::f32), da({1000, 130}, DType::f32), db({130}, DType::f32);
    const Tensor dc(Shape{}, DType::f32);
    tested_kernels().binary_forward(reference.op, y, a, b);
    tested_kernels().binary_backward(reference.op, {&da, false}, {&db, false}, a, b, y);
    tested_kernels().binary_backward(reference.op, {}, {&dc, false}, a, c, y);
    return std::vector<Tensor>{y, da, db, dc};
  });
}

INSTANTIATE_TEST_SUITE_P(Kernels, Binary, testing::ValuesIn(references),
                         [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace folio
