// GPT-2's pre-tokenization, which splits a text into words.
#pragma once

#include <functional>
#include <string_view>

namespace folio {

/// Calls `take` with each word of `text` in order; their concatenation is the text. A word is a run
/// of letters, of digits or of other characters, with a preceding space; a suffix of an English
/// contraction ('s, 'll); or white space. Letters, digits and white space are those of Unicode.
/// Throws Error(where, ...) for invalid UTF-8. Source: openai/gpt-2, src/encoder.py, the pattern of
/// Encoder.
void split_words(std::string_view text, std::string_view where,
                 const std::function<void(std::string_view)>& take);

/// The longest prefix of `text`, of at most `bytes` bytes, after which the text can be split
/// without changing words: before a line break that follows a printable ASCII character. If there
/// is none, the shortest longer prefix, or all of `text`.
std::string_view words_up_to(std::string_view text, size_t bytes);

}  // namespace folio
