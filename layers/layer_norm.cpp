#include "folio/layers/layer_norm.h"

#include "folio/layers/layer_error.h"

namespace folio {

LayerNorm::LayerNorm(const Scope& scope, int64_t width, bool with_bias)
    : weight(&scope.parameter("weight", {width}, Init::ones())) {
  if (with_bias) bias = &scope.parameter("bias", {width}, Init::zeros());
}

Variable LayerNorm::operator()(Tape& tape, const Variable& x) const {
  return with_layer_name(*weight, [&] {
    return layer_norm(tape, x, weight->variable(), optional_variable(bias), eps);
  });
}

NormalizedSum LayerNorm::operator()(Tape& tape, const Variable& residual, const Variable& x,
                                    const Dropout& dropout) const {
  return with_layer_name(*weight, [&] {
    return residual_dropout_layer_norm(tape, residual, x, dropout.probability, dropout.site,
                                       weight->variable(), optional_variable(bias), eps);
  });
}

}  // namespace folio
