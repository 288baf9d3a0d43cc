// The black box: a step whose loss or gradient norm is not finite is computed again, with every op
// checked, to find where the first bad value comes from.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "folio/data/batches.h"
#include "folio/data/tokenizer.h"
#include "folio/inspect/finite_check.h"
#include "folio/models/gpt.h"
#include "folio/train/step_gradients.h"

namespace folio {

/// A step whose update was refused: with the weights before it, all that is needed to repeat it.
struct RefusedStep {
  StepSettings settings;
  int threads = 1;  // matrix products round differently with another number
  double lr = 0.0, loss = 0.0, gradient_norm = 0.0;
  Batch batch;  // whole, (B, T)

  /// Counted from 1, as in metrics and messages.
  int64_t number() const { return settings.step + 1; }
};

/// What was found. Sample numbers count from 0 within the whole batch.
struct Finding {
  std::optional<FirstNonFinite> first;  // none: only the norm, or the sum of losses, overflows
  int64_t first_sample = 0;             // of the micro-batch in which it was found
  std::vector<int64_t> samples = {};    // that hold the bad values; empty if that cannot be told

  /// "linear in blocks.1.feed_forward.up", or "no op".
  std::string where() const;
};

/// Computes the step's gradients again, with the step's number of threads, up to the end of the
/// micro-batch in which the first bad value appears. The parameters keep their values; their
/// gradients are overwritten.
Finding examine(const Gpt& model, ParameterStore& parameters, const RefusedStep& step);

/// The report for people: several lines. It depends on its arguments alone.
std::string report_text(const RefusedStep& step, const Finding& finding,
                        const Tokenizer& tokenizer);

/// The same for programs: a JSON object. What is not finite is a string: "nan", "inf", "-inf".
std::string report_json(const RefusedStep& step, const Finding& finding,
                        const Tokenizer& tokenizer);

}  // namespace folio
