#include "folio/inspect/gradcheck.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>

#include "folio/io/output.h"
#include "folio/tensor/error.h"

namespace folio {
namespace {

constexpr std::array<double, 4> steps = {3e-5, 1e-5, 1e-4, 3e-6};

int64_t count_off(const std::vector<GradientCheckRow>& rows) {
  return std::ranges::count(rows, false, &GradientCheckRow::passed);
}

}  // namespace

std::vector<GradientCheckRow> check_model(ParameterStore& parameters,
                                          const std::function<Variable(Tape&)>& loss, Tape& tape,
                                          int64_t elements) {
  GradientCheckOptions how{.step = steps.front(), .max_elements = elements};
  std::vector<GradientCheckRow> rows = check_gradients(parameters, loss, tape, how);
  for (size_t i = 1; i < steps.size() && count_off(rows) > 0; ++i) {
    how.step = steps[i];
    const std::vector<GradientCheckRow> again = check_gradients(parameters, loss, tape, how);
    for (size_t r = 0; r < rows.size(); ++r) {
      if (again[r].max_relative_error < rows[r].max_relative_error) rows[r] = again[r];
    }
  }
  return rows;
}

std::string gradient_table(const std::vector<GradientCheckRow>& rows, ParameterStore& parameters) {
  size_t width = 9;
  for (const GradientCheckRow& row : rows) width = std::max(width, row.name.size());
  std::string table = fmt::format("{:<{}}  {:>14}  {:>7}  {:>14}\n", "parameter", width, "shape",
                                  "checked", "relative error");
  double worst = 0.0;
  for (const GradientCheckRow& row : rows) {
    table += fmt::format("{:<{}}  {:>14}  {:>7}  {:>14.1e}  {}\n", row.name, width,
                         parameters.find(row.name).shape.to_string(), grouped(row.checked),
                         row.max_relative_error, row.passed ? "ok" : "OFF");
    if (!row.passed) {
      table += fmt::format("{:<{}}  element {}: backward gives {:.10g}, differences {:.10g}\n", "",
                           width, row.worst_element, row.analytic, row.numeric);
    }
    worst = std::max(worst, row.max_relative_error);
  }
  const int64_t off = count_off(rows);
  return table +
         fmt::format(
             "{} parameters: {} ok, {} off; largest relative error {:.1e} (allowed {:.0e})\n",
             rows.size(), std::ssize(rows) - off, off, worst, GradientCheckOptions{}.tolerance);
}

void require_right_gradients(const std::vector<GradientCheckRow>& rows) {
  const int64_t off = count_off(rows);
  FOLIO_CHECK(off == 0, "gradcheck",
              "the gradients of {} parameters are off; look at the backward pass of the ops behind "
              "them",
              off);
}

}  // namespace folio
