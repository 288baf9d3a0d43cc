// Gradients against central differences, in f64.
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
  /// Relative error is |a - n| / max(|a|, |n|, floor): gradients much smaller than the floor are
  /// below what differences resolve. The floor is this times the largest gradient in the tensor,
  /// or `absolute_floor` where that is more.
  double relative_floor = 1e-3;
  double absolute_floor = 1e-4;
  int64_t max_elements = 0;  // checked per tensor, spread evenly; 0: all
};

/// One tensor's result.
struct GradientCheckRow {
  std::string name;
  int64_t elements = 0, checked = 0;
  double max_relative_error = 0.0;
  int64_t worst_element = -1;
  double analytic = 0.0, numeric = 0.0;  // at the worst element
  bool passed = false;
};

/// Checks the gradient of `loss` (one element, f64, built anew on the tape at each call, the same
/// function every time) with respect to every parameter. The values are restored.
std::vector<GradientCheckRow> check_gradients(ParameterStore& parameters,
                                              const std::function<Variable(Tape&)>& loss,
                                              Tape& tape, const GradientCheckOptions& options = {});

/// The same for leaves: `inputs` are f64 tensors that `loss` receives as variables.
std::vector<GradientCheckRow> check_gradients(
    std::vector<Tensor> inputs,
    const std::function<Variable(Tape&, const std::vector<Variable>&)>& loss, Tape& tape,
    const GradientCheckOptions& options = {});

}  // namespace folio
