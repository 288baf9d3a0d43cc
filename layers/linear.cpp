#include "folio/layers/linear.h"

#include "folio/layers/layer_error.h"

namespace folio {

Linear::Linear(const Scope& scope, int64_t inputs, int64_t outputs, bool with_bias,
               const Init& init, Activation activation)
    : weight(&scope.parameter("weight", {outputs, inputs}, init)), activation(activation) {
  if (with_bias) bias = &scope.parameter("bias", {outputs}, Init::zeros());
}

Variable Linear::operator()(Tape& tape, const Variable& x) const {
  return with_layer_name(*weight, [&] {
    return linear(tape, x, weight->variable(), optional_variable(bias), activation);
  });
}

}  // namespace folio
