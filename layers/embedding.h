// A table of vectors, one for each token.
#pragma once

#include <cstdint>

#include "folio/autograd/ops.h"
#include "folio/autograd/parameters.h"
#include "folio/layers/layer_error.h"

namespace folio {

struct Embedding {
  Parameter* weight;  // (vocabulary, width)

  Embedding(const Scope& scope, int64_t vocabulary, int64_t width,
            const Init& init = Init::normal(0.02))
      : weight(&scope.parameter("weight", {vocabulary, width}, init)) {}

  /// tokens i32 of shape S; result S + (width).
  Variable operator()(Tape& tape, const Tensor& tokens) const {
    return with_layer_name(*weight, [&] { return gather_rows(tape, weight->variable(), tokens); });
  }
};

}  // namespace folio
