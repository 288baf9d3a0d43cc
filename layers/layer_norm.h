// Layer normalisation with a trained gain and, optionally, bias.
#pragma once

#include <cstdint>

#include "folio/autograd/ops.h"
#include "folio/autograd/parameters.h"
#include "folio/layers/dropout.h"

namespace folio {

struct LayerNorm {
  Parameter* weight;          // the gain (width)
  Parameter* bias = nullptr;  // (width), or none
  double eps = 1e-5;

  LayerNorm(const Scope& scope, int64_t width, bool with_bias);

  /// x (..., width); result the same shape.
  Variable operator()(Tape& tape, const Variable& x) const;
  /// The sum residual + dropout(x), and its normalisation.
  NormalizedSum operator()(Tape& tape, const Variable& residual, const Variable& x,
                           const Dropout& dropout) const;
};

}  // namespace folio
