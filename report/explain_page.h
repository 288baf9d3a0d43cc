// The page of `folio explain`.
#pragma once

#include <cstdint>
#include <string>

#include "folio/inspect/explain.h"

namespace folio {

struct ExplainedModel {
  std::string run;
  int64_t step = 0;
  std::string prompt;
  double temperature = 0.0;
};

/// A self-contained page without scripts. Each attention map is an SVG image with a row per
/// position; a darker cell means a higher probability.
std::string explanation_page(const Explanation& explanation, const ExplainedModel& model);

}  // namespace folio
