// The shape of a GPT.
#pragma once

#include <cstdint>

namespace folio {

enum class Norm : uint8_t { pre, post };                 // GPT-2's order; Vaswani et al. 2017's
enum class Positions : uint8_t { learned, sinusoidal };  // sinusoidal: Vaswani 2017, section 3.5
enum class FeedForwardActivation : uint8_t { relu, gelu, gelu_tanh };
/// What of a block the backward pass computes again rather than finds kept: nothing, the half with
/// the feed-forward network, or all of it. The results are the same bits.
enum class Recompute : uint8_t { none, mlp, block };

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
  FeedForwardActivation activation = FeedForwardActivation::gelu;
  bool tied = true;  // the output embedding is the token embedding
  Recompute recompute = Recompute::none;
};

}  // namespace folio
