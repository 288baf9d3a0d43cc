// Dropout: while training, elements become zero at random.
#pragma once

#include <cstdint>

#include "folio/autograd/ops.h"
#include "folio/autograd/parameters.h"

namespace folio {

struct Dropout {
  double probability;
  uint32_t site;  // what its random numbers are for: different at each place of a model

  Dropout(const Scope& scope, double probability)
      : probability(probability), site(scope.site("dropout")) {}

  Variable operator()(Tape& tape, const Variable& x) const {
    return dropout(tape, x, probability, site);
  }
};

}  // namespace folio
