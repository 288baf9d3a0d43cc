// y = activation(x W^T + b).
#pragma once

#include <cstdint>

#include "folio/autograd/ops.h"
#include "folio/autograd/parameters.h"

namespace folio {

struct Linear {
  Parameter* weight;          // (outputs, inputs)
  Parameter* bias = nullptr;  // (outputs), or none
  Activation activation = Activation::none;

  Linear(const Scope& scope, int64_t inputs, int64_t outputs, bool with_bias,
         const Init& init = Init::normal(0.02), Activation activation = Activation::none);

  /// x (..., inputs); result (..., outputs).
  Variable operator()(Tape& tape, const Variable& x) const;
};

}  // namespace folio
