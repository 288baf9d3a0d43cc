// `folio gradcheck`: compares every parameter's gradient with finite differences.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "folio/autograd/gradient_check.h"

namespace folio {

/// A row for each parameter of an f64 store, at the best of several difference steps. A large step
/// is limited by the curvature of the model and the kinks of ReLU, a small one by the rounding of
/// f64, and the best step between them depends on the model; a wrong gradient fails at every step.
/// `loss` is as in check_gradients(). In each parameter, `elements` evenly spaced elements and the
/// one with the largest gradient are checked; 0 checks all.
std::vector<GradientCheckRow> check_model(ParameterStore& parameters,
                                          const std::function<Variable(Tape&)>& loss, Tape& tape,
                                          int64_t elements);

/// The rows as a table, with a summary in the last line.
std::string gradient_table(const std::vector<GradientCheckRow>& rows, ParameterStore& parameters);

/// Throws Error if any row exceeds its tolerance.
void require_right_gradients(const std::vector<GradientCheckRow>& rows);

}  // namespace folio
