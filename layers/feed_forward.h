// The position-wise feed-forward network (Vaswani et al. 2017, section 3.3).
#pragma once

#include <cstdint>

#include "folio/layers/linear.h"

namespace folio {

struct FeedForward {
  Linear up;    // width to hidden, with the activation
  Linear down;  // hidden to width

  FeedForward(const Scope& scope, int64_t width, int64_t hidden, bool bias, Activation activation,
              const Init& down_init = Init::normal(0.02))
      : up(scope / "up", width, hidden, bias, Init::normal(0.02), activation),
        down(scope / "down", hidden, width, bias, down_init) {}

  /// x (..., width); result the same shape.
  Variable operator()(Tape& tape, const Variable& x) const { return down(tape, up(tape, x)); }
};

}  // namespace folio
