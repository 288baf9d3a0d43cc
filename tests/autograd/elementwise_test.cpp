// Elementwise ops: values, gradients, broadcasting, dropout, errors.
#include <fmt/core.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <utility>
#include <vector>

#include "folio/autograd/ops.h"
#include "folio/autograd/parameters.h"
#include "support/gradcheck.h"
#include "support/temporary.h"

namespace folio {
namespace {

using testing::AllOf;
using testing::HasSubstr;

struct BinaryCase {
  const char* name;
  Variable (*op)(Tape&, const Variable&, const Variable&);
  double (*reference)(double, double);
};

const BinaryCase binary_cases[] = {
    {"add", add, [](double a, double b) { return a + b; }},
    {"subtract", subtract, [](double a, double b) { return a - b; }},
    {"multiply", multiply, [](double a, double b) { return a * b; }},
    {"divide", divide, [](double a, double b) { return a / b; }},
};

const std::pair<Shape, Shape> shape_pairs[] = {
    // Equal.
    {{}, {}},
    {{1}, {1}},
    {{5}, {5}},
    {{37}, {37}},
    {{3, 4}, {3, 4}},
    {{2, 1, 7}, {2, 1, 7}},
    {{2, 3, 1, 5}, {2, 3, 1, 5}},
    // A vector, on either side.
    {{3, 5}, {5}},
    {{5}, {3, 5}},
    {{1, 7}, {7}},
    {{2, 3, 4}, {4}},
    {{4}, {2, 3, 4}},
    {{2, 1, 2, 19}, {19}},
    {{19}, {2, 1, 2, 19}},
    {{5, 1}, {1}},
    // One element, of any rank, on either side.
    {{2, 3}, {}},
    {{}, {2, 3}},
    {{2, 9}, {1}},
    {{1}, {2, 2, 3}},
    {{2, 3}, {1, 1}},
    {{1, 1}, {4}},
    {{1, 1}, {1}},
    {{1}, {1, 1, 1}},
    {{}, {1}},
};

double at(const Tensor& x, int64_t i) {
  const int64_t n = x.numel();
  return values_of(x)[n == 1 ? 0 : i % n];
}

TEST(Elementwise, BinaryValuesAndShapes) {
  for (const BinaryCase& c : binary_cases) {
    for (const auto& [sa, sb] : shape_pairs) {
      SCOPED_TRACE(fmt::format("{} {} {}", c.name, sa.to_string(), sb.to_string()));
      const Tensor a = random_away_from_zero(sa, 1), b = random_away_from_zero(sb, 2);
      Tape tape;
      const Variable y = c.op(tape, {a}, {b});
      const bool a_is_larger =
          sa.numel() != sb.numel() ? sa.numel() > sb.numel() : sa.rank() >= sb.rank();
      EXPECT_EQ(y.shape(), a_is_larger ? sa : sb);
      std::vector<double> expected;
      for (int64_t i = 0; i < y.value.numel(); ++i) {
        expected.push_back(c.reference(at(a, i), at(b, i)));
      }
      expect_close(values_of(y.value), expected, 1e-15, "value");
    }
  }
}

TEST(Elementwise, BinaryGradients) {
  for (const BinaryCase& c : binary_cases) {
    for (const auto& [sa, sb] : shape_pairs) {
      SCOPED_TRACE(fmt::format("{} {} {}", c.name, sa.to_string(), sb.to_string()));
      expect_gradients({random_tensor(sa, 3), random_away_from_zero(sb, 4, 0.4)},
                       [&](Tape& tape, const auto& x) { return c.op(tape, x[0], x[1]); });
    }
  }
}

TEST(Elementwise, BothSidesTheSameVariable) {
  for (const BinaryCase& c : binary_cases) {
    for (const Shape& shape : {Shape{}, Shape{7}, Shape{3, 5}}) {
      SCOPED_TRACE(fmt::format("{} {}", c.name, shape.to_string()));
      expect_gradients({random_away_from_zero(shape, 5, 0.4)},
                       [&](Tape& tape, const auto& x) { return c.op(tape, x[0], x[0]); });
    }
  }
  // x / x is 1 whatever x is: its two gradients cancel.
  Tape tape;
  const Variable x = tape.leaf(random_away_from_zero({4}, 6, 0.4));
  tape.backward(weighted_sum(tape, divide(tape, x, x)));
  expect_close(values_of(tape.gradient(x)), {0.0, 0.0, 0.0, 0.0}, 1e-12, "x / x");
}

TEST(Elementwise, OneVariableInThreeOps) {
  expect_gradients({random_away_from_zero({3, 5}, 7, 0.4)}, [](Tape& tape, const auto& x) {
    const Variable a = exp(tape, x[0]), b = multiply(tape, x[0], x[0]), c = tanh(tape, x[0]);
    return add(tape, add(tape, a, b), subtract(tape, x[0], c));
  });
}

TEST(Elementwise, TimesANumber) {
  for (const Shape& shape : {Shape{}, Shape{1}, Shape{3, 7}, Shape{2, 1, 2, 3}}) {
    SCOPED_TRACE(shape.to_string());
    for (double factor : {-2.5, 0.0, 1.0}) {
      expect_gradients({random_tensor(shape, 8)}, [factor](Tape& tape, const auto& x) {
        return multiply(tape, x[0], factor);
      });
    }
  }
}

struct UnaryCase {
  const char* name;
  Variable (*op)(Tape&, const Variable&);
  double (*reference)(double);
  bool positive;  // the op's domain
};

const UnaryCase unary_cases[] = {
    {"exp", exp, [](double x) { return std::exp(x); }, false},
    {"log", log, [](double x) { return std::log(x); }, true},
    {"sqrt", sqrt, [](double x) { return std::sqrt(x); }, true},
    {"tanh", tanh, [](double x) { return std::tanh(x); }, false},
    {"sigmoid", sigmoid, [](double x) { return 1.0 / (1.0 + std::exp(-x)); }, false},
    {"relu", relu, [](double x) { return x > 0.0 ? x : 0.0; }, false},
    {"gelu", gelu, [](double x) { return x * 0.5 * std::erfc(-x / std::sqrt(2.0)); }, false},
    {"gelu_tanh", gelu_tanh,
     [](double x) {
       const double inner = std::sqrt(2.0 / std::acos(-1.0)) * (x + 0.044715 * x * x * x);
       return 0.5 * x * (1.0 + std::tanh(inner));
     },
     false},
};

const Shape unary_shapes[] = {{}, {1}, {5}, {67}, {3, 4}, {2, 1, 7}, {2, 1, 3, 5}};

/// In the op's domain, 0.1 from 0 at least, to about 4 on either side.
Tensor input_of(const UnaryCase& c, const Shape& shape, uint64_t seed) {
  if (c.positive) return random_tensor(shape, seed, 0.25, 4.0);
  Tensor x = random_away_from_zero(shape, seed, 0.025);
  for (int64_t i = 0; i < x.numel(); ++i) x.data<double>()[i] *= 4.0;
  return x;
}

TEST(Elementwise, UnaryValues) {
  for (const UnaryCase& c : unary_cases) {
    for (const Shape& shape : unary_shapes) {
      SCOPED_TRACE(fmt::format("{} {}", c.name, shape.to_string()));
      const Tensor x = input_of(c, shape, 9);
      Tape tape;
      const Variable y = c.op(tape, {x});
      EXPECT_EQ(y.shape(), shape);
      std::vector<double> expected;
      for (double value : values_of(x)) expected.push_back(c.reference(value));
      expect_close(values_of(y.value), expected, 1e-13, "value");
    }
  }
}

TEST(Elementwise, UnaryGradients) {
  for (const UnaryCase& c : unary_cases) {
    for (const Shape& shape : unary_shapes) {
      SCOPED_TRACE(fmt::format("{} {}", c.name, shape.to_string()));
      expect_gradients({input_of(c, shape, 10)},
                       [&](Tape& tape, const auto& x) { return c.op(tape, x[0]); });
    }
  }
}

TEST(Elementwise, GradientOfReluIsZeroAtZero) {
  for (DType dtype : {DType::f32, DType::f64}) {
    Tape tape;
    const Variable x = tape.leaf(tensor_of({3}, {-1.0, 0.0, 1.0}, dtype));
    tape.backward(sum(tape, relu(tape, x)));
    EXPECT_EQ(values_of(tape.gradient(x)), (std::vector<double>{0.0, 0.0, 1.0}));
  }
}

TEST(Elementwise, SaturatedFunctionsStayFinite) {
  for (DType dtype : {DType::f32, DType::f64}) {
    for (Variable (*op)(Tape&, const Variable&) : {tanh, sigmoid, gelu, gelu_tanh}) {
      Tape tape;
      const Variable x = tape.leaf(tensor_of({4}, {-1e4, -100.0, 100.0, 1e4}, dtype));
      const Variable y = op(tape, x);
      tape.backward(sum(tape, y));
      for (double value : values_of(y.value)) EXPECT_TRUE(std::isfinite(value));
      for (double value : values_of(tape.gradient(x))) EXPECT_TRUE(std::isfinite(value));
    }
  }
}

TEST(Dropout, Gradients) {
  for (double probability : {0.0, 0.3}) {
    for (const Shape& shape : unary_shapes) {
      SCOPED_TRACE(fmt::format("{} {}", probability, shape.to_string()));
      expect_gradients({random_away_from_zero(shape, 12)}, [&](Tape& tape, const auto& x) {
        return dropout(tape, x[0], probability, purpose_of("site"));
      });
    }
  }
}

TEST(Dropout, DropsWithTheGivenProbabilityAndScalesTheRest) {
  const Tensor x = random_away_from_zero({100, 101}, 13);
  Tape tape;
  tape.set_training(true);
  const std::vector<double> before = values_of(x);
  const std::vector<double> after = values_of(dropout(tape, {x}, 0.3, 1).value);
  int64_t dropped = 0;
  for (size_t i = 0; i < after.size(); ++i) {
    if (after[i] == 0.0) {
      ++dropped;
    } else {
      EXPECT_NEAR(after[i], before[i] / 0.7, 1e-14);
    }
  }
  // 10,100 draws: the standard deviation of the fraction is 0.0046.
  EXPECT_NEAR(static_cast<double>(dropped) / 10100.0, 0.3, 0.015);
}

TEST(Dropout, MaskDependsOnSeedStepAndSite) {
  const Variable x{random_away_from_zero({8, 40}, 14)};
  const auto draw = [&](uint64_t seed, uint32_t step, uint32_t site) {
    Tape tape;
    tape.set_training(true);
    tape.set_context({.seed = seed, .step = step, .first_sample = 0});
    return values_of(dropout(tape, x, 0.5, site).value);
  };
  EXPECT_EQ(draw(1, 2, 3), draw(1, 2, 3));
  EXPECT_NE(draw(1, 2, 3), draw(9, 2, 3));
  EXPECT_NE(draw(1, 2, 3), draw(1, 9, 3));
  EXPECT_NE(draw(1, 2, 3), draw(1, 2, 9));
}

TEST(Dropout, PartOfABatchHasThatPartOfTheMask) {
  const Tensor x = random_away_from_zero({6, 5, 7}, 15);
  Tape tape;
  tape.set_training(true);
  const std::vector<double> whole = values_of(dropout(tape, {x}, 0.5, 1).value);
  tape.set_context({.seed = 0, .step = 0, .first_sample = 4});
  const std::vector<double> part = values_of(dropout(tape, {x.view(140, {2, 5, 7})}, 0.5, 1).value);
  EXPECT_EQ(part, std::vector<double>(whole.begin() + 140, whole.end()));
}

TEST(Dropout, DoesNothingUnlessTraining) {
  Tape tape;
  const Variable x = tape.leaf(random_tensor({3, 5}, 16));
  const Variable y = dropout(tape, x, 0.9, 1);
  EXPECT_EQ(y.value.raw(), x.value.raw());
  EXPECT_EQ(y.slot, x.slot);
  EXPECT_EQ(tape.size(), 0u);
}

TEST(Elementwise, ErrorsNameTheOpAndBothShapes) {
  Tape tape;
  const Variable a{random_tensor({2, 3}, 17)};
  for (const BinaryCase& c : binary_cases) {
    for (const Shape& shape : {Shape{2}, Shape{3, 2}, Shape{1, 3}, Shape{2, 1}, Shape{2, 2, 3}}) {
      const Variable b{random_tensor(shape, 18)};
      const auto message = AllOf(HasSubstr(fmt::format("{}: ", c.name)), HasSubstr("(2, 3)"),
                                 HasSubstr(shape.to_string()));
      EXPECT_THAT(error_of([&] { c.op(tape, a, b); }), message);
      EXPECT_THAT(error_of([&] { c.op(tape, b, a); }), message);
    }
  }
}

TEST(Elementwise, ErrorsNameTheTypes) {
  Tape tape;
  const Variable a{random_tensor({2, 3}, 19)}, tokens{random_indices({2, 3}, 20, 5)};
  const Variable single{tensor_of({2, 3}, values_of(a.value), DType::f32)};
  for (const BinaryCase& c : binary_cases) {
    EXPECT_THAT(error_of([&] { c.op(tape, a, single); }),
                AllOf(HasSubstr(c.name), HasSubstr("f32 (2, 3)"), HasSubstr("wanted f64")));
    EXPECT_THAT(error_of([&] { c.op(tape, tokens, tokens); }),
                AllOf(HasSubstr(c.name), HasSubstr("i32 (2, 3)")));
    EXPECT_THAT(error_of([&] { c.op(tape, a, Variable{}); }),
                AllOf(HasSubstr(c.name), HasSubstr("empty")));
    EXPECT_THAT(error_of([&] { c.op(tape, Variable{}, a); }),
                AllOf(HasSubstr(c.name), HasSubstr("empty")));
  }
  for (const UnaryCase& c : unary_cases) {
    EXPECT_THAT(error_of([&] { c.op(tape, tokens); }),
                AllOf(HasSubstr(fmt::format("{}: ", c.name)), HasSubstr("i32 (2, 3)")));
    EXPECT_THAT(error_of([&] { c.op(tape, Variable{}); }), HasSubstr("empty"));
  }
  EXPECT_THAT(error_of([&] { multiply(tape, tokens, 2.0); }), HasSubstr("i32 (2, 3)"));
  for (double probability : {-0.1, 1.0, std::nan("")}) {
    EXPECT_THAT(error_of([&] { dropout(tape, a, probability, 0); }), HasSubstr("dropout: "));
  }
}

}  // namespace
}  // namespace folio
