// Text generation, token by token.
//
// The keys and values of earlier positions are cached, so a token costs one position. When the
// context of the model is full, positions must shift, which invalidates the cache; the window then
// restarts with its newest half, which is computed in one pass. So the model sees between half and
// all of its context.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "folio/autograd/tape.h"
#include "folio/comm/communicator.h"
#include "folio/data/tokenizer.h"
#include "folio/inference/token_choice.h"
#include "folio/models/model.h"

namespace folio {

/// The number of newest tokens that the model sees after `count` tokens: all of them until the
/// context is full, then half of the context, growing by one per token until it is full again, and
/// so on.
int64_t window_length(int64_t count, int64_t context);

/// Continues `prompt` by max_tokens tokens and returns the new text. Calls `emit` with each new
/// piece of it, of whole characters; invalid bytes become U+FFFD. Of a longer prompt, the model
/// reads the last `context` tokens. An empty prompt is replaced by a line break or, if that is not
/// in the vocabulary, by token 0. Random numbers depend on (seed, position) only.
std::string generate(const LanguageModel& model, const Tokenizer& tokenizer,
                     std::string_view prompt, const SamplingOptions& options,
                     const std::function<void(std::string_view)>& emit = {});

/// Generates `count` texts, up to 16 at a time, of which the first is that of generate(). Random
/// numbers depend on (seed, index of the text, position) only. The texts are distributed over the
/// ranks, and every rank returns all of them.
std::vector<std::string> generate_samples(const LanguageModel& model, const Tokenizer& tokenizer,
                                          std::string_view prompt, const SamplingOptions& options,
                                          int64_t count, Communicator& ranks = single_process());

}  // namespace folio
