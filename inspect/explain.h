// What a model sees in a prompt: the next tokens it expects at each position, and where each head
// of each layer looks.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "folio/data/tokenizer.h"
#include "folio/models/gpt.h"

namespace folio {

struct ExpectedToken {
  int32_t token = 0;
  std::string text;
  double probability = 0.0;          // softmax of the logits
  double sampled_probability = 0.0;  // the same after the temperature
};

/// The probabilities of one head: row i, position i's, holds T numbers that sum to 1, those of
/// later positions 0.
struct AttentionMap {
  int64_t layer = 0, head = 0;
  std::vector<float> probabilities;  // (T, T)
};

struct Explanation {
  std::vector<std::string> tokens;                   // T of them
  int64_t tokens_left_out = 0;                       // of the prompt, before them
  std::vector<std::vector<ExpectedToken>> expected;  // (T, candidates): likeliest first
  std::vector<ExpectedToken> came;  // (T - 1): the token that does come next in the prompt
  std::vector<AttentionMap> maps;   // by layer and head
};

constexpr int64_t most_explained = 64;  // tokens: more would not be seen on a page

/// Runs the model once over the end of the prompt, as many tokens as its context and
/// most_explained allow. The attention probabilities are softmax(Q K^T / sqrt(C / heads)), causal
/// (Vaswani et al. 2017, equation 1), computed here again from the queries and keys that each layer
/// hands to its fused kernel. A temperature of 0 leaves the likeliest token alone. Throws Error for
/// an empty prompt, unknown characters, and a temperature that is negative or not finite.
Explanation explain(const Gpt& model, const Tokenizer& tokenizer, std::string_view prompt,
                    double temperature, int64_t candidates = 5);

}  // namespace folio
