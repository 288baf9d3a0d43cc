// Text from a model, token by token.
//
// Each token costs one position: the keys and values of the positions before it are kept. When the
// context (of a model that has one) is full, positions must shift, and what was kept of them is
// worth nothing; the window then begins anew with its newest half, computed again in one go. So the
// model sees between half and the whole of its context, and a new beginning costs little more than
// a token a token.
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

/// How many of the newest tokens the model sees when `count` have gone before: all until the
/// context is full; then half of the context, one more with each token until it is full again, and
/// so on.
int64_t window_length(int64_t count, int64_t context);

/// Continues `prompt` by max_tokens tokens, giving each new piece of text to `emit` as it comes
/// (pieces are whole characters; bytes that make none are U+FFFD). Of a longer prompt the last
/// `context` tokens count. An empty prompt begins with a newline where the tokenizer has one, else
/// with token 0. Returns the whole new text. The random numbers depend on (seed, position) alone.
std::string generate(const LanguageModel& model, const Tokenizer& tokenizer,
                     std::string_view prompt, const SamplingOptions& options,
                     const std::function<void(std::string_view)>& emit = {});

/// `count` texts, computed side by side, up to 16 at a time. The first is that of generate(); the
/// random numbers of each depend on (seed, its number, position) alone. The ranks share them out;
/// each has them all in the end.
std::vector<std::string> generate_samples(const LanguageModel& model, const Tokenizer& tokenizer,
                                          std::string_view prompt, const SamplingOptions& options,
                                          int64_t count, Communicator& ranks = single_process());

}  // namespace folio
