// Compares gradients with central differences in f64.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "folio/autograd/parameters.h"
#include "folio/autograd/tape.h"

namespace folio {

struct GradientCheckOptions {
  double step = 1e-5;       // h in (f(x + h) - f(x - h)) / 2h, times max(1, |x|)
  double tolerance = 1e-6;  // largest relative error that passes
  /// The relative error is |a - n| / max(|a|, |n|, floor), because differences do not resolve
  /// gradients much smaller than the floor. The floor is the maximum of `absolute_floor` and this
  /// times the largest gradient in the tensor.
  double relative_floor = 1e-3;
  double absolute_floor = 1e-4;
  int64_t max_elements = 0;  // per tensor, evenly spaced; 0 checks all
};

/// The result for one tensor.
struct GradientCheckRow {
  std::string name;
  int64_t elements = 0, checked = 0;
  double max_relative_error = 0.0;
  int64_t worst_element = -1;
  double analytic = 0.0, numeric = 0.0;  // at the worst element
  bool passed = false;
};

/// Checks the gradient of `loss` with respect to every parameter. `loss` computes one element in
/// f64 on the tape, the same function at each call. The parameters' values are restored. Throws
/// Error if the loss differs between two calls with the same values, for example because dropout
/// draws a new mask.
std::vector<GradientCheckRow> check_gradients(ParameterStore& parameters,
                                              const std::function<Variable(Tape&)>& loss,
                                              Tape& tape, const GradientCheckOptions& options = {});

/// The same for leaves: `inputs` are f64 tensors that `loss` receives as variables.
std::vector<GradientCheckRow> check_gradients(
    std::vector<Tensor> inputs,
    const std::function<Variable(Tape&, const std::vector<Variable>&)>& loss, Tape& tape,
    const GradientCheckOptions& options = {});

}  // namespace folio
