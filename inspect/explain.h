// Explains a model's view of a prompt: the expected next tokens at each position, and the attention
// of each head of each layer.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "folio/data/tokenizer.h"
#include "folio/models/model.h"

namespace folio {

struct ExpectedToken {
  int32_t token = 0;
  std::string text;
  double probability = 0.0;          // softmax of the logits
  double sampled_probability = 0.0;  // with the temperature
};

/// The attention probabilities of one head of a self-attention layer. Row i belongs to position i
/// and sums to 1; positions that it does not see have probability 0.
struct AttentionMap {
  int64_t layer = 0, head = 0;
  std::vector<float> probabilities;  // (T, T)
};

struct Explanation {
  std::vector<std::string> tokens;                   // T of them
  int64_t tokens_left_out = 0;                       // at the start of the prompt
  std::vector<std::vector<ExpectedToken>> expected;  // (T, candidates), most likely first
  std::vector<ExpectedToken> came;                   // (T - 1): the actual next token of the prompt
  std::vector<AttentionMap> maps;                    // by layer and head
};

constexpr int64_t most_explained = 64;  // tokens that are legible on a page

/// Runs the model once over the end of the prompt, as far as its context and most_explained allow.
/// The attention probabilities are softmax(Q K^T / sqrt(C / heads)) (Vaswani et al. 2017, equation
/// 1) over the positions that a query sees, recomputed from the queries and keys of each layer's
/// fused kernel. A temperature of 0 keeps only the most likely token. Throws Error for an empty
/// prompt, unknown characters, and a temperature that is negative or not finite.
Explanation explain(const LanguageModel& model, const Tokenizer& tokenizer, std::string_view prompt,
                    double temperature, int64_t candidates = 5);

}  // namespace folio
