// How GPT-2 cuts a text into words, before byte pairs are looked for within each.
#pragma once

#include <functional>
#include <string_view>

namespace folio {

/// Calls `take` with each word of `text` in turn; together they are the text. A word is letters,
/// digits, or other signs, with the space before them; an English contraction's end ('s, 'll); or
/// white space. Letters, digits and white space are Unicode's. Throws Error, beginning with
/// `where`, for invalid UTF-8. Source: openai/gpt-2, src/encoder.py, the pattern of Encoder.
void split_words(std::string_view text, std::string_view where,
                 const std::function<void(std::string_view)>& take);

/// The longest beginning of `text`, at most `bytes` of it, after which a cut changes no word:
/// before a line break that follows a printable ASCII character. Where that is nowhere, the
/// shortest of the longer ones, or all of `text`.
std::string_view words_up_to(std::string_view text, size_t bytes);

}  // namespace folio
