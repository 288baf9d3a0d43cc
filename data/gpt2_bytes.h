// GPT-2's mapping of bytes to printable characters. Source: openai/gpt-2, src/encoder.py,
// bytes_to_unicode().
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace folio {

/// The bytes in the order of their tokens. Those that are printable in Latin-1 come first.
std::array<uint8_t, 256> gpt2_byte_order();

/// The characters of bytes. A byte that is printable in Latin-1 keeps its character; the others are
/// mapped to U+0100 and above.
std::string gpt2_characters(std::string_view bytes);
/// The inverse; nothing if a character has no byte or the text is not valid UTF-8.
std::optional<std::string> gpt2_bytes(std::string_view characters);

}  // namespace folio
