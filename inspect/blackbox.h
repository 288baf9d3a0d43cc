// The black box recomputes a step whose loss or gradient norm is not finite and checks every op to
// find the source of the first bad value.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "folio/data/batch.h"
#include "folio/data/tokenizer.h"
#include "folio/inspect/finite_check.h"
#include "folio/models/model.h"
#include "folio/train/step_gradients.h"

namespace folio {

/// A step whose update was refused. Together with the weights before it, this repeats the step.
struct RefusedStep {
  StepSettings settings;
  int threads = 1;  // rounding of matrix products depends on it
  double lr = 0.0, loss = 0.0, gradient_norm = 0.0;
  Batch batch;  // the whole batch

  /// Counted from 1, as in metrics and messages.
  int64_t number() const { return settings.step + 1; }
};

/// The result of the search. Samples count from 0 within the whole batch.
struct Finding {
  std::optional<FirstNonFinite> first;  // empty if only the norm or the sum of losses overflows
  int64_t first_sample = 0;             // of the micro-batch with the bad value
  std::vector<int64_t> samples = {};    // with bad values; empty if unknown

  /// "linear in blocks.1.feed_forward.up", or "no op".
  std::string where() const;
};

/// Recomputes the gradients of the step with its number of threads, up to the end of the
/// micro-batch with the first bad value. The values of the parameters are kept; their gradients are
/// overwritten.
Finding examine(const Task& task, const Model& model, ParameterStore& parameters,
                const RefusedStep& step);

/// The report as text. It depends only on the arguments.
std::string report_text(const RefusedStep& step, const Finding& finding, const Task& task,
                        const Tokenizer& tokenizer);

/// The report as JSON. Numbers that are not finite are the strings "nan", "inf" and "-inf".
std::string report_json(const RefusedStep& step, const Finding& finding, const Task& task,
                        const Tokenizer& tokenizer);

}  // namespace folio
