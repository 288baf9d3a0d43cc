#include "folio/autograd/gradient_check.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include "folio/tensor/error.h"

namespace folio {
namespace {

/// A tensor to vary, and its analytic gradient.
struct Subject {
  std::string name;
  Tensor value;  // f64, on the CPU
  std::vector<double> analytic;
};

/// Gives a varied value back, also where the loss throws.
struct Restored {
  double& place;
  const double original;
  explicit Restored(double& value) : place(value), original(value) {}
  ~Restored() { place = original; }
  Restored(const Restored&) = delete;
  Restored& operator=(const Restored&) = delete;
};

/// The elements to check: all, or `limit` spread evenly with the first and last, and the largest
/// gradient.
std::set<int64_t> elements_to_check(const std::vector<double>& analytic, int64_t limit) {
  const auto count = static_cast<int64_t>(analytic.size());
  std::set<int64_t> elements;
  if (limit <= 0 || limit >= count) limit = count;
  for (int64_t i = 0; i < limit; ++i)
    elements.insert(limit == 1 ? 0 : i * (count - 1) / (limit - 1));
  const auto largest = std::max_element(analytic.begin(), analytic.end(), [](double a, double b) {
    return std::abs(a) < std::abs(b);
  });
  if (largest != analytic.end()) elements.insert(largest - analytic.begin());
  return elements;
}

GradientCheckRow check_subject(const Subject& subject, const std::function<double()>& loss,
                               const GradientCheckOptions& options) {
  GradientCheckRow row;
  row.name = subject.name;
  row.elements = static_cast<int64_t>(subject.analytic.size());
  double largest = 0.0;
  for (double g : subject.analytic) largest = std::max(largest, std::abs(g));
  const double floor = std::max(options.absolute_floor, options.relative_floor * largest);
  double* values = subject.value.data<double>();
  row.passed = true;
  for (int64_t i : elements_to_check(subject.analytic, options.max_elements)) {
    const Restored value(values[i]);
    const double step = options.step * std::max(1.0, std::abs(value.original));
    const double analytic = subject.analytic[i];
    double numeric = 0.0, error = std::numeric_limits<double>::infinity();
    // A kink within the step (of relu, say) needs a smaller one, rounding a larger; a gradient that
    // is wrong is so with each.
    for (const double h : {step, step / 10.0, step / 100.0, step * 10.0}) {
      value.place = value.original + h;
      const double above = loss();
      value.place = value.original - h;
      const double difference = (above - loss()) / (2.0 * h);
      const double off = std::abs(analytic - difference) /
                         std::max({std::abs(analytic), std::abs(difference), floor});
      if (h == step || off < error) {
        numeric = difference;
        error = off;
      }
      if (error <= options.tolerance) break;
    }
    ++row.checked;
    // Written so that NaN fails.
    if (!(error <= options.tolerance)) row.passed = false;
    if (row.worst_element < 0 || !(error <= row.max_relative_error)) {
      row.max_relative_error = error;
      row.worst_element = i;
      row.analytic = analytic;
      row.numeric = numeric;
    }
  }
  return row;
}

void check_is_deterministic(const std::function<double()>& loss) {
  const double first = loss(), second = loss();
  FOLIO_CHECK(
      first == second || std::isnan(first), "gradient check",
      "the loss is {} and then {} with the same values, so differences mean nothing; use the "
      "same random numbers in each call",
      first, second);
}

void check_is_f64(const std::string& name, const Tensor& value) {
  FOLIO_CHECK(value.dtype() == DType::f64, "gradient check",
              "{} is {}; differences resolve gradients in f64 only", name, value.describe());
}

}  // namespace

std::vector<GradientCheckRow> check_gradients(ParameterStore& parameters,
                                              const std::function<Variable(Tape&)>& loss,
                                              Tape& tape, const GradientCheckOptions& options) {
  check_is_f64("the parameter store", parameters.values());
  tape.set_context(tape.context());  // the same masks in every call
  parameters.start_gradients();
  tape.backward(loss(tape));
  tape.clear();
  tape.set_context(tape.context());
  parameters.finish_gradients();
  const auto value = [&] {
    NoRecording pause(tape);
    return loss(tape).value.item();
  };
  check_is_deterministic(value);
  std::vector<GradientCheckRow> rows;
  for (const Parameter& parameter : parameters.parameters()) {
    if (!parameter.trained) continue;
    const Subject subject{parameter.name, parameter.value, parameter.grad.to_vector<double>()};
    rows.push_back(check_subject(subject, value, options));
  }
  parameters.start_gradients();
  return rows;
}

std::vector<GradientCheckRow> check_gradients(
    std::vector<Tensor> inputs,
    const std::function<Variable(Tape&, const std::vector<Variable>&)>& loss, Tape& tape,
    const GradientCheckOptions& options) {
  std::vector<Variable> leaves, constants;
  for (size_t i = 0; i < inputs.size(); ++i) {
    check_is_f64(fmt::format("input {}", i), inputs[i]);
    leaves.push_back(tape.leaf(inputs[i]));
    constants.push_back({inputs[i]});
  }
  tape.set_context(tape.context());  // the same masks in every call
  tape.backward(loss(tape, leaves));
  std::vector<Subject> subjects;
  for (size_t i = 0; i < inputs.size(); ++i) {
    std::vector<double> analytic(inputs[i].numel(), 0.0);  // where nothing reaches the input
    if (leaves[i].slot->written) analytic = tape.gradient(leaves[i]).to_vector<double>();
    subjects.push_back({fmt::format("input {}", i), inputs[i], std::move(analytic)});
  }
  tape.clear();
  tape.set_context(tape.context());
  const auto value = [&] {
    NoRecording pause(tape);
    return loss(tape, constants).value.item();
  };
  check_is_deterministic(value);
  std::vector<GradientCheckRow> rows;
  for (const Subject& subject : subjects) rows.push_back(check_subject(subject, value, options));
  return rows;
}

}  // namespace folio
