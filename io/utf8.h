// UTF-8 text as code points, and back.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace folio {

/// The code points of `text`, as RFC 3629 defines them. Throws Error, beginning with `where`, that
/// names the position and the value of the first byte that is not valid UTF-8.
std::vector<char32_t> decode_utf8(std::string_view text, std::string_view where);

bool is_utf8(std::string_view text);

/// `text` with U+FFFD for each invalid byte and for each truncated character.
std::string repaired_utf8(std::string_view text);

/// `text` without the bytes at its end that begin a character but do not complete it.
std::string_view complete_utf8(std::string_view text);

/// Appends one code point.
void append_utf8(std::string& text, char32_t code_point);

/// Whether `byte` is a continuation byte: any but the first byte of a character.
inline bool is_continuation(char byte) { return (static_cast<uint8_t>(byte) & 0xC0u) == 0x80u; }

/// The number of characters in valid UTF-8.
int64_t count_characters(std::string_view text);

/// The start of the character that contains byte `position` of valid UTF-8.
size_t character_start(std::string_view text, size_t position);

/// A character for messages: in quotes, with its number. Example: 'é' (U+00E9).
std::string describe_character(char32_t code_point);

}  // namespace folio
