// Dropout (Srivastava et al. 2014): sets random elements to zero during training.
#pragma once

#include <cstdint>

#include "folio/autograd/ops.h"
#include "folio/autograd/parameters.h"

namespace folio {

struct Dropout {
  double probability;
  uint32_t site;  // key of its random numbers, different for each dropout of a model

  Dropout(const Scope& scope, double probability)
      : probability(probability), site(scope.site("dropout")) {}

  Variable operator()(Tape& tape, const Variable& x) const {
    return dropout(tape, x, probability, site);
  }
};

}  // namespace folio
