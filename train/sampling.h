// Text from a model, token by token.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "folio/autograd/tape.h"
#include "folio/data/tokenizer.h"
#include "folio/layers/gpt.h"

namespace folio {

struct SamplingOptions {
  int64_t max_tokens = 500;
  double temperature = 0.8;  // 0: always the most likely token
  int64_t top_k = 0;         // only the k most likely; 0: all
  double top_p = 1.0;        // only the most likely that together reach p (Holtzman et al. 2020)
  uint64_t seed = 1;
};

/// The next token from logits of one position (V). `uniform` in [0, 1) decides. Ties go to the
/// lower token. Throws Error for impossible options or logits that are not finite.
int32_t choose_token(std::span<const float> logits, const SamplingOptions& options, double uniform);

/// Continues `prompt` by max_tokens tokens, giving each new piece of text to `emit` as it comes
/// (pieces are whole characters). The model sees the last `context` tokens. An empty prompt begins
/// with a newline where the tokenizer has one, else with token 0. Returns the whole new text.
/// The random numbers depend on (seed, position) alone.
std::string generate(const Gpt& model, const Tokenizer& tokenizer, std::string_view prompt,
                     const SamplingOptions& options,
                     const std::function<void(std::string_view)>& emit = {});

}  // namespace folio
