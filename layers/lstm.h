// A layer of long short-term memory (Hochreiter and Schmidhuber 1997), with the forget gate of Gers
// et al. 2000 and PyTorch's parameters.
#pragma once

#include <cstdint>

#include "folio/autograd/ops.h"
#include "folio/autograd/parameters.h"

namespace folio {

/// The state that an LSTM carries from one position to the next, (B, width) each. Empty variables
/// mean zeros.
struct LstmState {
  Variable h, c;
};

/// i, f, o = sigmoid and g = tanh of rows [0, width), [width, 2 width), ... of
/// weight_ih x + bias_ih + weight_hh h + bias_hh, in the order i, f, g, o; then c = f c + i g and
/// h = o tanh(c).
struct Lstm {
  Parameter* weight_ih;  // (4 width, inputs)
  Parameter* weight_hh;  // (4 width, width)
  Parameter* bias_ih;    // (4 width)
  Parameter* bias_hh;    // (4 width)
  int64_t width;

  /// Initial values are uniform in [-1 / sqrt(width), 1 / sqrt(width)), as in PyTorch.
  Lstm(const Scope& scope, int64_t inputs, int64_t width);

  /// Reads x (B, T, inputs) from left to right. Result: h of every position, (B, T, width). `state`
  /// becomes that after the last position.
  Variable operator()(Tape& tape, const Variable& x, LstmState& state) const;
};

}  // namespace folio
