// The gradient checker itself: what it must find, and what it must let pass.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "folio/autograd/ops.h"
#include "folio/kernels/kernels.h"
#include "support/gradcheck.h"
#include "support/temporary.h"

namespace folio {
namespace {

using testing::AllOf;
using testing::HasSubstr;

enum class Mistake { none, factor, no_accumulation, no_backward, transposed, not_a_number };

/// x times 3, with a mistake in its backward.
Variable triple(Tape& tape, const Variable& x, Mistake mistake) {
  const Variable y = tape.output_like(x);
  const Tensor three = tensor_of({}, {3.0}, x.value.dtype());
  tape.kernels().scale({&y.value, false}, x.value, three);
  tape.record("triple", y, [mistake, three, dx = x.slot, dy = y.slot](Tape& t) {
    GradTarget target = t.grad_of(dx);
    Tensor factor = three;
    if (mistake == Mistake::factor) factor = tensor_of({}, {3.0 + 1e-4}, DType::f64);
    if (mistake == Mistake::not_a_number) {
      factor = tensor_of({}, {std::numeric_limits<double>::quiet_NaN()}, DType::f64);
    }
    if (mistake == Mistake::no_accumulation) target.accumulate = false;
    if (mistake == Mistake::no_backward) {
      t.kernels().fill(*target.tensor, 0.0);
      return;
    }
    t.kernels().scale(target, t.grad(dy), factor);
  });
  return y;
}

/// a times b of square matrices; a mistaken backward transposes the gradient of a.
Variable product(Tape& tape, const Variable& a, const Variable& b, Mistake mistake) {
  const Variable y = tape.output_like(a);
  tape.kernels().matmul({&y.value, false}, a.value, false, b.value, false);
  tape.record("product", y,
              [mistake, da = a.slot, db = b.slot, dy = y.slot, a = a.value, b = b.value](Tape& t) {
                const bool transpose_b = mistake != Mistake::transposed;
                t.kernels().matmul(t.grad_of(da), t.grad(dy), false, b, transpose_b);
                t.kernels().matmul(t.grad_of(db), a, true, t.grad(dy), false);
              });
  return y;
}

std::vector<GradientCheckRow> check_triple(Mistake mistake) {
  Tape tape;
  return check_gradients(
      {random_away_from_zero({2, 3}, 1)},
      [&](Tape& t, const auto& x) {
        // x is used twice, so its gradient must be added to what is there.
        return weighted_sum(t, add(t, triple(t, x[0], mistake), triple(t, x[0], mistake)));
      },
      tape);
}

TEST(GradientCheck, PassesARightBackward) {
  const std::vector<GradientCheckRow> rows = check_triple(Mistake::none);
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_TRUE(rows[0].passed);
  EXPECT_LT(rows[0].max_relative_error, 1e-8);
  EXPECT_EQ(rows[0].elements, 6);
  EXPECT_EQ(rows[0].checked, 6);
}

TEST(GradientCheck, FindsAWrongFactor) {
  const GradientCheckRow row = check_triple(Mistake::factor)[0];
  EXPECT_FALSE(row.passed);
  EXPECT_NEAR(row.max_relative_error, 1e-4 / 3.0, 1e-6);
  EXPECT_NEAR(row.analytic / row.numeric, 1.0 + 1e-4 / 3.0, 1e-6);
}

TEST(GradientCheck, FindsAMissingAccumulation) {
  const GradientCheckRow row = check_triple(Mistake::no_accumulation)[0];
  EXPECT_FALSE(row.passed);
  EXPECT_NEAR(row.analytic / row.numeric, 0.5, 1e-6);
}

TEST(GradientCheck, FindsAMissingBackward) {
  EXPECT_FALSE(check_triple(Mistake::no_backward)[0].passed);
}

TEST(GradientCheck, PassesBesideAKink) {
  for (const double x : {3e-7, -3e-6, 4e-6}) {  // nearer than a step
    Tape tape;
    const auto rows = check_gradients(
        {tensor_of({2}, {x, 1.0}, DType::f64)},
        [](Tape& t, const auto& v) { return sum(t, relu(t, v[0])); }, tape);
    EXPECT_TRUE(rows[0].passed) << x << ": " << rows[0].numeric;
  }
}

TEST(GradientCheck, FindsNaN) {
  const GradientCheckRow row = check_triple(Mistake::not_a_number)[0];
  EXPECT_FALSE(row.passed);
  EXPECT_TRUE(std::isnan(row.analytic));
  // In the function as well as in the gradient.
  Tape tape;
  const auto rows = check_gradients(
      {tensor_of({2}, {-1.0, 1.0}, DType::f64)},
      [](Tape& t, const auto& x) { return sum(t, sqrt(t, x[0])); }, tape);
  EXPECT_FALSE(rows[0].passed);
}

TEST(GradientCheck, FindsATransposedMatrix) {
  for (Mistake mistake : {Mistake::none, Mistake::transposed}) {
    Tape tape;
    const auto rows = check_gradients(
        {random_tensor({3, 3}, 2), random_tensor({3, 3}, 3)},
        [&](Tape& t, const auto& x) { return weighted_sum(t, product(t, x[0], x[1], mistake)); },
        tape);
    ASSERT_EQ(rows.size(), 2u);
    EXPECT_EQ(rows[0].passed, mistake == Mistake::none);
    EXPECT_TRUE(rows[1].passed);
    EXPECT_EQ(rows[0].name, "input 0");
    EXPECT_EQ(rows[1].name, "input 1");
  }
}

TEST(GradientCheck, FindsAGradientThatDoesNotReach) {
  Tape tape;
  const auto rows = check_gradients(
      {tensor_of({2}, {1.0, 2.0}, DType::f64)},
      [&](Tape& t, const auto& x) {
        const Variable cut{x[0].value};  // the value without the gradient
        return sum(t, add(t, x[0], multiply(t, cut, cut)));
      },
      tape);
  EXPECT_FALSE(rows[0].passed);
}

TEST(GradientCheck, FindsOneWrongElementOfMany) {
  // The gradient of the last element is 1 percent off.
  Tape tape;
  const auto wrong_at_the_end = [](Tape& t, const Variable& x) {
    const Variable y = t.output_like(x);
    t.kernels().copy({&y.value, false}, x.value);
    t.record("wrong", y, [dx = x.slot, dy = y.slot](Tape& inner) {
      inner.pass_grad(dx, inner.grad(dy));
      const GradTarget target = inner.grad_of(dx);
      target.tensor->data<double>()[dx->shape.numel() - 1] *= 1.01;
    });
    return y;
  };
  const auto loss = [&](Tape& t, const auto& x) {
    return weighted_sum(t, wrong_at_the_end(t, x[0]));
  };
  const GradientCheckRow row = check_gradients({random_tensor({40}, 4)}, loss, tape)[0];
  EXPECT_FALSE(row.passed);
  EXPECT_EQ(row.worst_element, 39);
  // With fewer elements checked the first and the last are still among them.
  const GradientCheckRow sampled =
      check_gradients({random_tensor({40}, 4)}, loss, tape, {.max_elements = 5})[0];
  EXPECT_FALSE(sampled.passed);
  EXPECT_GE(sampled.checked, 5);
  EXPECT_LE(sampled.checked, 6);  // and the largest gradient
  EXPECT_EQ(sampled.elements, 40);
}

class ParameterCheck : public testing::Test {
 protected:
  ParameterCheck() {
    store.create("used", {2, 3}, Init::normal(1.0));
    store.create("untouched", {4}, Init::ones());
    store.initialize(1);
  }
  Variable parameter(const char* name) { return store.find(name).variable(); }

  ParameterStore store{DType::f64};
  Tape tape;
};

TEST_F(ParameterCheck, UntouchedParameterPasses) {
  const auto rows = check_gradients(
      store, [&](Tape& t) { return weighted_sum(t, exp(t, parameter("used"))); }, tape);
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(rows[0].name, "used");
  EXPECT_EQ(rows[1].name, "untouched");
  EXPECT_TRUE(rows[0].passed);
  EXPECT_TRUE(rows[1].passed);
  EXPECT_EQ(rows[1].analytic, 0.0);
  EXPECT_EQ(rows[1].numeric, 0.0);
  EXPECT_EQ(rows[1].checked, 4);
}

TEST_F(ParameterCheck, FindsAWrongBackward) {
  const auto rows = check_gradients(
      store,
      [&](Tape& t) {
        const Variable wrong = triple(t, parameter("used"), Mistake::factor);
        return add(t, weighted_sum(t, wrong), weighted_sum(t, parameter("untouched")));
      },
      tape);
  EXPECT_FALSE(rows[0].passed);
  EXPECT_TRUE(rows[1].passed);
}

TEST_F(ParameterCheck, RestoresTheValues) {
  const std::vector<double> before = values_of(store.values());
  check_gradients(
      store, [&](Tape& t) { return sum(t, exp(t, parameter("used"))); }, tape);
  EXPECT_EQ(values_of(store.values()), before);
  EXPECT_TRUE(tape.recording());
  EXPECT_EQ(tape.size(), 0u);
}

TEST_F(ParameterCheck, StaleGradientsDoNotCount) {
  // What an earlier backward left in the store must neither help nor harm.
  tape.backward(sum(tape, parameter("untouched")));
  tape.clear();
  const auto rows = check_gradients(
      store, [&](Tape& t) { return sum(t, exp(t, parameter("used"))); }, tape);
  expect_passed(rows);
}

TEST(GradientCheck, RefusesALossThatIsNotTheSameTwice) {
  Tape tape;
  double calls = 0.0;
  const auto loss = [&](Tape& t, const auto& x) { return multiply(t, sum(t, x[0]), calls += 1.0); };
  EXPECT_THAT(error_of([&] {
                check_gradients({tensor_of({2}, {1.0, 2.0}, DType::f64)}, loss, tape);
              }),
              HasSubstr("gradient check: the loss is 6 and then 9 with the same values"));
}

TEST(GradientCheck, RefusesF32) {
  Tape tape;
  const auto loss = [](Tape& t, const auto& x) { return sum(t, x[0]); };
  EXPECT_THAT(error_of([&] {
                check_gradients({tensor_of({2}, {1.0, 2.0}, DType::f32)}, loss, tape);
              }),
              AllOf(HasSubstr("gradient check: input 0"), HasSubstr("f32 (2)")));
  ParameterStore store(DType::f32);
  Parameter& weight = store.create("weight", {3}, Init::ones());
  store.initialize(1);
  EXPECT_THAT(error_of([&] {
                check_gradients(
                    store, [&](Tape& t) { return sum(t, weight.variable()); }, tape);
              }),
              AllOf(HasSubstr("gradient check: "), HasSubstr("f32 (3)")));
}

}  // namespace
}  // namespace folio
