// UTF-8 text as code points, and back.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace folio {

/// The code points of `text`, as RFC 3629 defines them. Throws Error, beginning with `where`, that
/// names the byte position and the byte at which the text stops being valid UTF-8.
std::vector<char32_t> decode_utf8(std::string_view text, std::string_view where);

/// `text` with each byte that is no part of a character, and each character cut short, as U+FFFD.
std::string repaired_utf8(std::string_view text);

/// Appends one code point.
void append_utf8(std::string& text, char32_t code_point);

/// For messages: the character in quotes and its number, for example 'é' (U+00E9).
std::string describe_character(char32_t code_point);

}  // namespace folio
