#include "support/gradcheck.h"

#include <fmt/core.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "folio/autograd/ops.h"
#include "folio/tensor/random.h"

namespace folio {
namespace {

// Dropout draws from these in every call, so that the function stays the same.
constexpr StepContext context{.seed = 11, .step = 3, .first_sample = 2};

void prepare(Tape& tape) {
  tape.set_training(true);
  tape.set_context(context);
}

struct Outcome {
  std::vector<double> value;
  std::vector<std::vector<double>> gradients;  // empty for a constant
};

/// Calls the function `times` times and goes back. Input number `constant` gets no gradient.
Outcome run(const std::vector<Tensor>& inputs, const Function& function, DType dtype,
            int constant = -1, int times = 1) {
  Tape tape;
  prepare(tape);
  std::vector<Variable> variables;
  for (size_t i = 0; i < inputs.size(); ++i) {
    const Tensor value = tensor_of(inputs[i].shape(), values_of(inputs[i]), dtype);
    variables.push_back(static_cast<int>(i) == constant ? Variable{value} : tape.leaf(value));
  }
  Outcome outcome;
  Variable loss;
  for (int i = 0; i < times; ++i) {
    const Variable y = function(tape, variables);
    outcome.value = values_of(y.value);
    const Variable term = weighted_sum(tape, y);
    loss = i == 0 ? term : add(tape, loss, term);
  }
  tape.backward(loss);
  for (const Variable& x : variables) {
    const bool reached = x.needs_grad() && x.slot->written;
    outcome.gradients.push_back(reached ? values_of(tape.gradient(x)) : std::vector<double>());
  }
  return outcome;
}

std::vector<Tensor> rounded_to_bf16(const std::vector<Tensor>& inputs) {
  std::vector<Tensor> rounded;
  for (const Tensor& input : inputs) {
    const Tensor narrow = tensor_of(input.shape(), values_of(input), DType::bf16);
    rounded.push_back(tensor_of(input.shape(), values_of(narrow), DType::f64));
  }
  return rounded;
}

std::string gradient_name(size_t input) { return fmt::format("gradient of input {}", input); }

}  // namespace

Tensor random_tensor(const Shape& shape, uint64_t seed, double low, double high) {
  const RandomStream stream{.seed = seed, .purpose = purpose_of("random_tensor"), .step = 0};
  Tensor tensor(shape, DType::f64);
  for (int64_t i = 0; i < shape.numel(); ++i) {
    tensor.data<double>()[i] = static_cast<float>(low + (high - low) * stream.uniform(i));
  }
  return tensor;
}

Tensor random_away_from_zero(const Shape& shape, uint64_t seed, double distance) {
  Tensor tensor = random_tensor(shape, seed, distance, 1.0);
  const RandomStream signs{.seed = seed, .purpose = purpose_of("signs"), .step = 0};
  for (int64_t i = 0; i < shape.numel(); ++i) {
    if (signs.below(2, i) == 0) tensor.data<double>()[i] *= -1.0;
  }
  return tensor;
}

Tensor random_indices(const Shape& shape, uint64_t seed, int64_t limit) {
  const RandomStream stream{.seed = seed, .purpose = purpose_of("random_indices"), .step = 0};
  Tensor tensor(shape, DType::i32);
  for (int64_t i = 0; i < shape.numel(); ++i) {
    tensor.data<int32_t>()[i] = static_cast<int32_t>(stream.below(limit, i));
  }
  return tensor;
}

std::vector<double> values_of(const Tensor& tensor) {
  if (tensor.dtype() == DType::f64) return tensor.to_vector<double>();
  if (tensor.dtype() == DType::bf16) {
    const std::vector<bf16> values = tensor.to_vector<bf16>();
    return {values.begin(), values.end()};
  }
  const std::vector<float> values = tensor.to_vector<float>();
  return {values.begin(), values.end()};
}

Tensor tensor_of(const Shape& shape, const std::vector<double>& values, DType dtype) {
  if (dtype == DType::f64) return Tensor::from(shape, values);
  if (dtype == DType::bf16) {
    std::vector<bf16> narrow;
    for (double value : values) narrow.emplace_back(static_cast<float>(value));
    return Tensor::from(shape, narrow);
  }
  return Tensor::from(shape, std::vector<float>(values.begin(), values.end()));
}

Variable weighted_sum(Tape& tape, const Variable& y) {
  const std::vector<double> weights = values_of(random_away_from_zero(y.shape(), 4711, 0.25));
  return sum(tape, multiply(tape, y, Variable{tensor_of(y.shape(), weights, y.value.dtype())}));
}

void expect_close(const std::vector<double>& actual, const std::vector<double>& expected,
                  double tolerance, const std::string& what, double floor) {
  ASSERT_EQ(actual.size(), expected.size()) << what;
  double largest = floor;
  for (double e : expected) largest = std::max(largest, std::abs(e));
  size_t wrong = 0, worst = 0;
  double worst_error = 0.0;
  for (size_t i = 0; i < actual.size(); ++i) {
    const double error = std::abs(actual[i] - expected[i]) / largest;
    if (error <= tolerance) continue;
    if (wrong++ == 0 || error > worst_error) {
      worst = i;
      worst_error = error;
    }
  }
  if (wrong == 0) return;
  ADD_FAILURE() << fmt::format(
      "{}: {} of {} elements are off; the worst is element {}: {:.12g}, wanted {:.12g}; the error "
      "is {:.2e} of the largest, {:.6g}; allowed {:.0e}",
      what, wrong, actual.size(), worst, actual[worst], expected[worst], worst_error, largest,
      tolerance);
}

void expect_passed(const std::vector<GradientCheckRow>& rows) {
  for (const GradientCheckRow& row : rows) {
    EXPECT_TRUE(row.passed) << fmt::format(
        "{}, element {} of {}: analytic {:.12g}, numeric {:.12g}, relative error {:.2e}", row.name,
        row.worst_element, row.elements, row.analytic, row.numeric, row.max_relative_error);
  }
}

void expect_gradients(const std::vector<Tensor>& inputs, const Function& function,
                      const GradientCheckOptions& options) {
  Tape tape;
  prepare(tape);
  expect_passed(check_gradients(
      inputs,
      [&](Tape& t, const std::vector<Variable>& x) { return weighted_sum(t, function(t, x)); },
      tape, options));

  const Outcome f64 = run(inputs, function, DType::f64);
  const Outcome f32 = run(inputs, function, DType::f32);
  expect_close(f32.value, f64.value, 1e-4, "value in f32");
  const Outcome twice = run(inputs, function, DType::f64, -1, 2);
  for (size_t i = 0; i < inputs.size(); ++i) {
    expect_close(f32.gradients[i], f64.gradients[i], 1e-4, gradient_name(i) + " in f32");
    std::vector<double> doubled = f64.gradients[i];
    for (double& g : doubled) g *= 2.0;
    expect_close(twice.gradients[i], doubled, 1e-12, gradient_name(i) + " of two calls");
  }
  const std::vector<Tensor> coarse = rounded_to_bf16(inputs);
  const Outcome exact = run(coarse, function, DType::f64);
  const Outcome bf16 = run(coarse, function, DType::bf16);
  expect_close(bf16.value, exact.value, 3e-2, "value in bf16");
  for (size_t i = 0; i < inputs.size(); ++i) {
    // Terms of size 1 may cancel: a gradient that should vanish is what their rounding left.
    expect_close(bf16.gradients[i], exact.gradients[i], 3e-2, gradient_name(i) + " in bf16", 0.15);
  }
  if (inputs.size() < 2) return;
  for (size_t constant = 0; constant < inputs.size(); ++constant) {
    const Outcome without = run(inputs, function, DType::f64, static_cast<int>(constant));
    for (size_t i = 0; i < inputs.size(); ++i) {
      if (i == constant) continue;
      expect_close(without.gradients[i], f64.gradients[i], 1e-12,
                   fmt::format("{} while input {} is constant", gradient_name(i), constant));
    }
  }
}

void expect_parameter_gradients(ParameterStore& store, const std::function<Variable(Tape&)>& loss,
                                const GradientCheckOptions& options) {
  randomize(store, 12, 0.5);
  Tape tape;
  prepare(tape);
  expect_passed(check_gradients(
      store, [&](Tape& t) { return weighted_sum(t, loss(t)); }, tape, options));
}

void expect_same_function(const std::vector<Tensor>& inputs, const Function& first,
                          const Function& second, double tolerance) {
  const Outcome a = run(inputs, first, DType::f64), b = run(inputs, second, DType::f64);
  expect_close(a.value, b.value, tolerance, "value");
  for (size_t i = 0; i < inputs.size(); ++i) {
    expect_close(a.gradients[i], b.gradients[i], tolerance, gradient_name(i));
  }
}

void randomize(ParameterStore& store, uint64_t seed, double bound) {
  for (const Parameter& parameter : store.parameters()) {
    std::vector<double> values =
        values_of(random_tensor(parameter.shape, seed + purpose_of(parameter.name), -bound, bound));
    if (parameter.name.ends_with("norm.weight")) {
      for (double& value : values) value += 1.0;
    }
    if (store.dtype() == DType::f64) {
      std::copy(values.begin(), values.end(), parameter.master.data<double>());
    } else {
      std::copy(values.begin(), values.end(), parameter.master.data<float>());
    }
  }
  store.masters_changed();
}

}  // namespace folio
