// Sums, means, softmax and log-softmax.
#include <fmt/core.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "folio/autograd/ops.h"
#include "support/gradcheck.h"
#include "support/temporary.h"

namespace folio {
namespace {

using testing::AllOf;
using testing::HasSubstr;

using Unary = Variable (*)(Tape&, const Variable&);

struct Case {
  const char* name;
  Unary op;
};

const Case over_all[] = {{"sum", sum}, {"mean", mean}};
const Case over_rows[] = {{"sum_last", sum_last}, {"mean_last", mean_last}};
const Case normalizers[] = {{"softmax", softmax}, {"log_softmax", log_softmax}};

const Shape shapes[] = {{1}, {5}, {67}, {3, 4}, {4, 1}, {2, 3, 7}, {2, 1, 3, 5}, {1, 33}};

std::vector<double> evaluate(Unary op, const Tensor& x) {
  Tape tape;
  return values_of(op(tape, {x}).value);
}

TEST(Reduce, Values) {
  for (const Shape& shape : shapes) {
    SCOPED_TRACE(shape.to_string());
    const Tensor x = random_tensor(shape, 1);
    const std::vector<double> values = values_of(x);
    const int64_t columns = shape.columns();
    double total = 0.0;
    std::vector<double> totals(shape.rows(), 0.0);
    for (int64_t i = 0; i < shape.numel(); ++i) {
      total += values[i];
      totals[i / columns] += values[i];
    }
    expect_close(evaluate(sum, x), {total}, 1e-14, "sum", 1.0);
    expect_close(evaluate(mean, x), {total / static_cast<double>(shape.numel())}, 1e-14, "mean",
                 1.0);
    expect_close(evaluate(sum_last, x), totals, 1e-14, "sum_last", 1.0);
    for (double& value : totals) value /= static_cast<double>(columns);
    expect_close(evaluate(mean_last, x), totals, 1e-14, "mean_last", 1.0);
  }
}

TEST(Reduce, Shapes) {
  Tape tape;
  const Variable x{random_tensor({2, 3, 4}, 2)};
  EXPECT_EQ(sum(tape, x).shape(), Shape());
  EXPECT_EQ(mean(tape, x).shape(), Shape());
  EXPECT_EQ(sum_last(tape, x).shape(), Shape({2, 3}));
  EXPECT_EQ(mean_last(tape, x).shape(), Shape({2, 3}));
  EXPECT_EQ(sum_last(tape, {random_tensor({4}, 3)}).shape(), Shape());
  EXPECT_EQ(softmax(tape, x).shape(), x.shape());
}

TEST(Reduce, Gradients) {
  for (const Shape& shape : shapes) {
    for (const auto& cases : {over_all, over_rows}) {
      for (const Case* c = cases; c != cases + 2; ++c) {
        SCOPED_TRACE(fmt::format("{} {}", c->name, shape.to_string()));
        // The square gives each element a gradient of its own.
        expect_gradients({random_away_from_zero(shape, 4)}, [&](Tape& tape, const auto& x) {
          return c->op(tape, multiply(tape, x[0], x[0]));
        });
        expect_gradients({random_away_from_zero(shape, 5)},
                         [&](Tape& tape, const auto& x) { return c->op(tape, x[0]); });
      }
    }
  }
}

TEST(Reduce, GradientsOfAScalar) {
  for (const Case& c : over_all) {
    SCOPED_TRACE(c.name);
    expect_gradients({random_away_from_zero({}, 6)},
                     [&](Tape& tape, const auto& x) { return c.op(tape, x[0]); });
  }
}

TEST(Softmax, Values) {
  for (const Shape& shape : shapes) {
    SCOPED_TRACE(shape.to_string());
    const Tensor x = random_tensor(shape, 7, -3.0, 3.0);
    std::vector<double> expected = values_of(x);
    for (auto row = expected.begin(); row != expected.end(); row += shape.columns()) {
      double total = 0.0;
      for (auto p = row; p != row + shape.columns(); ++p) total += * p = std::exp(*p);
      for (auto p = row; p != row + shape.columns(); ++p) *p /= total;
    }
    expect_close(evaluate(softmax, x), expected, 1e-14, "softmax");
    for (double& value : expected) value = std::log(value);
    expect_close(evaluate(log_softmax, x), expected, 1e-14, "log_softmax");
  }
}

TEST(Softmax, Gradients) {
  for (const Shape& shape : shapes) {
    for (const Case& c : normalizers) {
      SCOPED_TRACE(fmt::format("{} {}", c.name, shape.to_string()));
      expect_gradients({random_tensor(shape, 8, -3.0, 3.0)},
                       [&](Tape& tape, const auto& x) { return c.op(tape, x[0]); });
    }
  }
}

TEST(Softmax, LargeLogitsNeitherOverflowNorVanish) {
  for (DType dtype : {DType::f32, DType::f64}) {
    Tape tape;
    const Variable x{tensor_of({2, 3}, {1e4, 1e4, -1e4, -1e4, -1e4, -1e4}, dtype)};
    expect_close(values_of(softmax(tape, x).value), {0.5, 0.5, 0.0, 1 / 3.0, 1 / 3.0, 1 / 3.0},
                 1e-6, "softmax");
    const double half = std::log(0.5), third = std::log(1.0 / 3.0);
    expect_close(values_of(log_softmax(tape, x).value),
                 {half, half, half - 2e4, third, third, third}, 1e-6, "log_softmax");
  }
}

TEST(Reduce, Errors) {
  Tape tape;
  const Variable scalar{random_tensor({}, 9)}, tokens{random_indices({2, 3}, 10, 5)};
  for (const auto& cases : {over_rows, normalizers}) {
    for (const Case* c = cases; c != cases + 2; ++c) {
      EXPECT_THAT(error_of([&] { c->op(tape, scalar); }),
                  AllOf(HasSubstr(fmt::format("{}: ", c->name)), HasSubstr("scalar")));
    }
  }
  for (const auto& cases : {over_all, over_rows, normalizers}) {
    for (const Case* c = cases; c != cases + 2; ++c) {
      EXPECT_THAT(error_of([&] { c->op(tape, tokens); }),
                  AllOf(HasSubstr(fmt::format("{}: ", c->name)), HasSubstr("i32 (2, 3)")));
      EXPECT_THAT(error_of([&] { c->op(tape, Variable{}); }), HasSubstr("empty"));
    }
  }
  const Variable nothing{Tensor({0, 3}, DType::f64)}, no_columns{Tensor({3, 0}, DType::f64)};
  EXPECT_THAT(error_of([&] { mean(tape, nothing); }), HasSubstr("mean: "));
  EXPECT_THAT(error_of([&] { mean_last(tape, no_columns); }), HasSubstr("mean_last: "));
}

}  // namespace
}  // namespace folio
