// The shape of a GPT.
#pragma once

#include <cstdint>

#include "folio/layers/block.h"
#include "folio/layers/positions.h"

namespace folio {

struct GptConfig {
  int64_t vocabulary = 0;  // known once the tokenizer is
  int64_t layers = 4;
  int64_t heads = 4;
  int64_t width = 128;   // C; heads must divide it
  int64_t context = 64;  // T, the longest input
  double dropout = 0.0;
  bool bias = false;  // of linear layers and layer norms
  Norm norm = Norm::pre;
  Positions positions = Positions::learned;
  Activation activation = Activation::gelu;
  bool tied = true;  // the output embedding is the token embedding
  Recompute recompute = Recompute::none;
};

}  // namespace folio
