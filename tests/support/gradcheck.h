// Checks of ops and models: gradients against differences, f32 against f64.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "folio/autograd/gradient_check.h"
#include "folio/autograd/parameters.h"
#include "folio/autograd/tape.h"

namespace folio {

/// A function under test. It must be the same function at every call, and take every floating
/// tensor from its inputs: it is called in f64 and in f32.
using Function = std::function<Variable(Tape&, const std::vector<Variable>&)>;

/// f64, uniform in [low, high), rounded to f32 so that both types compute with the same numbers.
Tensor random_tensor(const Shape& shape, uint64_t seed, double low = -1.0, double high = 1.0);
/// The same in [-1, -distance] and [distance, 1]: away from a kink or pole at 0.
Tensor random_away_from_zero(const Shape& shape, uint64_t seed, double distance = 0.1);
/// i32, uniform in [0, limit).
Tensor random_indices(const Shape& shape, uint64_t seed, int64_t limit);
/// The elements of an f32 or f64 tensor.
std::vector<double> values_of(const Tensor& tensor);
/// A floating tensor with these elements.
Tensor tensor_of(const Shape& shape, const std::vector<double>& values, DType dtype);

/// sum(y * w) with fixed random w, so that errors of single elements cannot cancel.
Variable weighted_sum(Tape& tape, const Variable& y);

/// Expects |actual - expected| <= tolerance * max(largest |expected|, floor), element by element.
/// NaN fails.
void expect_close(const std::vector<double>& actual, const std::vector<double>& expected,
                  double tolerance, const std::string& what, double floor = 1e-3);

/// Expects every row to have passed; prints the name, the element and both gradients otherwise.
void expect_passed(const std::vector<GradientCheckRow>& rows);

/// What a function must do, dropout dropping:
/// - its gradients agree with central differences, in f64;
/// - value and gradients in f32 agree with f64 within 1e-4;
/// - those in bf16 do within 3e-2, from inputs that bf16 represents;
/// - an input that is a constant changes nothing for the others;
/// - called twice on the same inputs, gradients accumulate to their double.
void expect_gradients(const std::vector<Tensor>& inputs, const Function& function,
                      const GradientCheckOptions& options = {});

/// The gradients of all parameters agree with differences, at random values, dropout dropping.
void expect_parameter_gradients(ParameterStore& store, const std::function<Variable(Tape&)>& loss,
                                const GradientCheckOptions& options = {});

/// Value and gradients of two functions of the same f64 inputs agree within `tolerance`.
void expect_same_function(const std::vector<Tensor>& inputs, const Function& first,
                          const Function& second, double tolerance = 1e-12);

/// Gives every element of the store a random value in [-bound, bound); gains (names that end in
/// "norm.weight") are 1 plus that. So no gradient vanishes because a bias is 0.
void randomize(ParameterStore& store, uint64_t seed, double bound);

}  // namespace folio
