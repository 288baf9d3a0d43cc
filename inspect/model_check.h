// What `folio gradcheck` does to a model: every parameter's gradient beside finite differences.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "folio/autograd/gradient_check.h"

namespace folio {

/// A row for each parameter of a store in f64, at the best of several steps of the differences: a
/// large step shows the model's curvature and the kinks of ReLU, a small one the rounding of f64,
/// and where between them neither is seen differs from model to model; a wrong gradient is off at
/// every step. `loss` as in check_gradients(); `elements` are checked in each parameter, spread
/// evenly, and the one with the largest gradient; 0: all.
std::vector<GradientCheckRow> check_model(ParameterStore& parameters,
                                          const std::function<Variable(Tape&)>& loss, Tape& tape,
                                          int64_t elements);

/// The rows as a table for people, with a last line that sums up.
std::string gradient_table(const std::vector<GradientCheckRow>& rows, ParameterStore& parameters);

/// Throws Error if any row is off.
void require_right_gradients(const std::vector<GradientCheckRow>& rows);

}  // namespace folio
