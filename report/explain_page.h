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

/// Self-contained, without scripts. Attention maps are SVG: a row a position, darker where it
/// looks.
std::string explanation_page(const Explanation& explanation, const ExplainedModel& model);

}  // namespace folio
