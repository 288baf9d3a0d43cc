// Cross-entropy: smoothing, ignored targets, what the sum is divided by.
#include <fmt/core.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <functional>
#include <vector>

#include "folio/autograd/ops.h"
#include "support/gradcheck.h"
#include "support/temporary.h"

namespace folio {
namespace {

using testing::AllOf;
using testing::HasSubstr;

const Shape logits_shapes[] = {{5}, {1, 1}, {3, 4}, {4, 1}, {7, 37}, {2, 3, 5}, {2, 1, 3, 11}};

/// Random classes; where `every` is positive each `every`-th is `ignored`.
Tensor targets_for(const Shape& logits, int64_t every, int32_t ignored) {
  Tensor targets = random_indices(logits.without_last(), 1, logits.columns());
  for (int64_t i = 0; every > 0 && i < targets.numel(); i += every) {
    targets.data<int32_t>()[i] = ignored;
  }
  return targets;
}

/// The loss by its definition.
double definition(const Tensor& logits, const Tensor& targets, const LossOptions& options) {
  const std::vector<double> x = values_of(logits);
  const int64_t classes = logits.shape().columns();
  double total = 0.0;
  int64_t valid = 0;
  for (int64_t row = 0; row < targets.numel(); ++row) {
    const int32_t target = targets.data<int32_t>()[row];
    if (target == options.ignored_index) continue;
    ++valid;
    double sum = 0.0;
    for (int64_t c = 0; c < classes; ++c) sum += std::exp(x[row * classes + c]);
    for (int64_t c = 0; c < classes; ++c) {
      const double wanted = (c == target ? 1.0 - options.label_smoothing : 0.0) +
                            options.label_smoothing / static_cast<double>(classes);
      total -= wanted * (x[row * classes + c] - std::log(sum));
    }
  }
  const int64_t divisor = options.valid_targets > 0 ? options.valid_targets : valid;
  return total / static_cast<double>(divisor);
}

/// Calls `check(logits, targets, options)` with every combination of flags.
void with_every_flag(
    const std::function<void(const Tensor&, const Tensor&, const LossOptions&)>& check) {
  for (const Shape& shape : logits_shapes) {
    for (double smoothing : {0.0, 0.1, 1.0}) {
      for (int64_t every : {0, 2}) {
        if (every > 0 && shape.rows() == 1) continue;  // that would ignore everything
        for (int32_t ignored : {-1, -100}) {
          for (int64_t valid : {0, 13}) {
            SCOPED_TRACE(fmt::format("{} smoothing {} ignoring every {} as {} valid {}",
                                     shape.to_string(), smoothing, every, ignored, valid));
            check(random_tensor(shape, 2, -3.0, 3.0), targets_for(shape, every, ignored),
                  {.label_smoothing = smoothing, .ignored_index = ignored, .valid_targets = valid});
          }
        }
      }
    }
  }
}

TEST(CrossEntropy, Values) {
  with_every_flag([](const Tensor& logits, const Tensor& targets, const LossOptions& options) {
    Tape tape;
    const Variable loss = cross_entropy(tape, {logits}, targets, options);
    EXPECT_EQ(loss.shape(), Shape());
    EXPECT_NEAR(loss.value.item(), definition(logits, targets, options), 1e-13);
  });
}

TEST(CrossEntropy, Gradients) {
  with_every_flag([](const Tensor& logits, const Tensor& targets, const LossOptions& options) {
    expect_gradients(
        {logits},
        [&](Tape& tape, const auto& x) { return cross_entropy(tape, x[0], targets, options); },
        // The loss is much larger than many a gradient, and smooth.
        {.step = 5e-5});
  });
}

TEST(CrossEntropy, GradientIsScaledByWhatComesFromAbove) {
  const Tensor targets = targets_for({3, 5}, 0, -1);
  expect_gradients({random_tensor({3, 5}, 3)}, [&](Tape& tape, const auto& x) {
    const Variable loss = cross_entropy(tape, x[0], targets, {.label_smoothing = 0.1});
    return multiply(tape, loss, loss);
  });
}

TEST(CrossEntropy, WorksInPlaceWhereNobodyElseNeedsTheLogits) {
  const std::vector<Tensor> input = {random_tensor({7, 37}, 3)};
  const Tensor targets = targets_for({7, 37}, 3, -1);
  const auto in_place = [&](Tape& tape, const std::vector<Variable>& x) {
    return cross_entropy(tape, multiply(tape, x[0], 2.0), targets);
  };
  expect_gradients(input, in_place);
  expect_same_function(input, in_place, [&](Tape& tape, const std::vector<Variable>& x) {
    const Variable logits = multiply(tape, x[0], 2.0);
    return cross_entropy(tape, logits, targets);
  });
  // What somebody still sees is left alone: the closure of exp keeps its output.
  const auto shared = [&](Tape& tape, const std::vector<Variable>& x) {
    return cross_entropy(tape, exp(tape, x[0]), targets);
  };
  expect_gradients(input, shared);
  // The memory of one (7, 37) tensor is saved.
  const auto peak_of = [&](const auto& function) {
    Tape tape;
    const Variable x = tape.leaf(input[0]);
    const size_t before = allocator(Device::cpu).statistics().live_bytes;
    allocator(Device::cpu).reset_peak();
    function(tape, std::vector<Variable>{x});
    return allocator(Device::cpu).statistics().peak_bytes - before;
  };
  EXPECT_LT(peak_of(in_place), 2 * 7 * 37 * sizeof(double));
  EXPECT_GE(peak_of(shared), 2 * 7 * 37 * sizeof(double));
}

TEST(CrossEntropy, EqualsItsParts) {
  const Tensor targets = random_indices({6}, 4, 7);
  std::vector<double> onehot(42, 0.0);
  for (int64_t i = 0; i < 6; ++i) onehot[i * 7 + targets.data<int32_t>()[i]] = -7.0;
  expect_same_function(
      {random_tensor({6, 7}, 5)},
      [&](Tape& tape, const auto& x) { return cross_entropy(tape, x[0], targets); },
      [&](Tape& tape, const auto& x) {
        const Variable wanted{tensor_of({6, 7}, onehot, DType::f64)};
        return mean(tape, multiply(tape, log_softmax(tape, x[0]), wanted));
      });
}

TEST(CrossEntropy, IgnoredTargetMayBeAClass) {
  // With ignored_index 2 class 2 does not count, though it could.
  const Tensor targets = Tensor::from<int32_t>({3}, {0, 2, 1});
  Tape tape;
  const Variable logits = tape.leaf(random_tensor({3, 4}, 6));
  const Variable loss = cross_entropy(tape, logits, targets, {.ignored_index = 2});
  EXPECT_NEAR(loss.value.item(), definition(logits.value, targets, {.ignored_index = 2}), 1e-13);
  tape.backward(loss);
  const std::vector<double> gradient = values_of(tape.gradient(logits));
  for (int i = 4; i < 8; ++i) EXPECT_EQ(gradient[i], 0.0);
}

TEST(CrossEntropy, AllIgnoredIsRefusedUnlessTheStepHasTargets) {
  const Tensor targets = Tensor::from<int32_t>({3}, {-1, -1, -1});
  for (DType dtype : {DType::f32, DType::f64}) {
    Tape tape;
    const Variable logits = tape.leaf(tensor_of({3, 2}, {1, 2, 3, 4, 5, 6}, dtype));
    EXPECT_THAT(error_of([&] { cross_entropy(tape, logits, targets); }),
                HasSubstr("cross_entropy: every target is the ignored index -1"));
    const Variable loss =
        cross_entropy(tape, logits, targets, {.label_smoothing = 0.1, .valid_targets = 4});
    EXPECT_EQ(loss.value.item(), 0.0);
    tape.backward(loss);
    EXPECT_EQ(values_of(tape.gradient(logits)), std::vector<double>(6, 0.0));
  }
}

TEST(CrossEntropy, PartsOfABatchAddUpToTheWhole) {
  const Tensor logits = random_tensor({6, 5}, 7), targets = targets_for({6, 5}, 4, -1);
  Tape tape;
  const Variable whole = tape.leaf(logits), parts = tape.leaf(logits);
  tape.backward(cross_entropy(tape, whole, targets));
  for (int64_t start : {0, 2}) {
    const int64_t rows = start == 0 ? 2 : 4;
    const Variable part = slice(tape, parts, 0, start, rows);
    tape.backward(cross_entropy(tape, part, targets.view(start, {rows}), {.valid_targets = 4}));
  }
  expect_close(values_of(tape.gradient(parts)), values_of(tape.gradient(whole)), 1e-14, "sum");
}

TEST(CrossEntropy, LargeLogitsStayFinite) {
  for (DType dtype : {DType::f32, DType::f64}) {
    Tape tape;
    const Variable logits = tape.leaf(tensor_of({2, 2}, {1e4, -1e4, -1e4, 1e4}, dtype));
    const Variable loss = cross_entropy(tape, logits, Tensor::from<int32_t>({2}, {0, 0}));
    EXPECT_NEAR(loss.value.item(), 1e4, 1e-2);
    tape.backward(loss);
    expect_close(values_of(tape.gradient(logits)), {0.0, 0.0, -0.5, 0.5}, 1e-6, "gradient");
  }
}

TEST(CrossEntropy, ErrorsNameTheShapes) {
  Tape tape;
  const Variable logits{random_tensor({2, 3, 5}, 8)};
  const auto error = [&](const Variable& x, const Tensor& targets, const LossOptions& o = {}) {
    return error_of([&] { cross_entropy(tape, x, targets, o); });
  };
  EXPECT_THAT(
      error(logits, random_indices({3, 2}, 9, 5)),
      AllOf(HasSubstr("cross_entropy: "), HasSubstr("f64 (2, 3, 5)"), HasSubstr("i32 (3, 2)")));
  EXPECT_THAT(error(logits, random_tensor({2, 3}, 10)), HasSubstr("f64 (2, 3)"));
  EXPECT_THAT(error(logits, Tensor()), HasSubstr("empty"));
  EXPECT_THAT(error({random_tensor({}, 11)}, random_indices({}, 12, 1)), HasSubstr("f64 ()"));
  const Variable two{random_tensor({2, 5}, 13)};
  EXPECT_THAT(error(two, Tensor::from<int32_t>({2}, {1, 5})),
              AllOf(HasSubstr("cross_entropy: target 1 is 5"), HasSubstr("below 5")));
  EXPECT_THAT(error(two, Tensor::from<int32_t>({2}, {-2, 0})), HasSubstr("target 0 is -2"));
  EXPECT_THAT(error(two, Tensor::from<int32_t>({2}, {-1, 0}), {.ignored_index = -100}),
              HasSubstr("target 0 is -1"));
  for (double smoothing : {-0.1, 1.1, std::nan("")}) {
    EXPECT_THAT(error(two, random_indices({2}, 14, 5), {.label_smoothing = smoothing}),
                HasSubstr("label_smoothing"));
  }
}

}  // namespace
}  // namespace folio
