#include "folio/layers/lstm.h"

#include <cmath>
#include <utility>
#include <vector>

#include "folio/tensor/error.h"

namespace folio {

Lstm::Lstm(const Scope& scope, int64_t inputs, int64_t width) : width(width) {
  const Init init = Init::uniform(1.0 / std::sqrt(static_cast<double>(width)));
  weight_ih = &scope.parameter("weight_ih", {4 * width, inputs}, init);
  weight_hh = &scope.parameter("weight_hh", {4 * width, width}, init);
  bias_ih = &scope.parameter("bias_ih", {4 * width}, init);
  bias_hh = &scope.parameter("bias_hh", {4 * width}, init);
}

Variable Lstm::operator()(Tape& tape, const Variable& x, LstmState& state) const {
  FOLIO_CHECK(x.shape().rank() == 3, weight_ih->name, "the input is {}; wanted (B, T, {})",
              x.value.describe(), weight_ih->shape[1]);
  const int64_t batch = x.dim(0), length = x.dim(1);
  // The part that depends only on the inputs is one product for all positions.
  const Variable state_bias = bias_hh->variable();
  const Variable from_inputs = linear(tape, x, weight_ih->variable(), bias_ih->variable());
  std::vector<Variable> outputs;
  for (int64_t t = 0; t < length; ++t) {
    const Variable input = reshape(tape, slice(tape, from_inputs, 1, t, 1), {batch, 4 * width});
    const bool begins = !state.h.value;  // with a state of zeros
    const Variable gates =
        add(tape, input,
            begins ? state_bias : linear(tape, state.h, weight_hh->variable(), state_bias));
    const auto gate = [&](int64_t number) { return slice(tape, gates, 1, number * width, width); };
    const Variable i = sigmoid(tape, gate(0)), f = sigmoid(tape, gate(1)), g = tanh(tape, gate(2)),
                   o = sigmoid(tape, gate(3));
    Variable c = multiply(tape, i, g);
    if (!begins) c = add(tape, multiply(tape, f, state.c), c);
    state.c = std::move(c);
    state.h = multiply(tape, o, tanh(tape, state.c));
    outputs.push_back(reshape(tape, state.h, {batch, 1, width}));
  }
  return concat(tape, outputs, 1);
}

}  // namespace folio
