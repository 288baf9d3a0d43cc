// How GPT-2's files write bytes: each as a character that can be seen. Source: openai/gpt-2,
// src/encoder.py, bytes_to_unicode().
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace folio {

/// The bytes in the order of their tokens: first those that are printable in Latin-1.
std::array<uint8_t, 256> gpt2_byte_order();

/// The characters of bytes: the byte's own where it is printable in Latin-1, else one from U+0100
/// on.
std::string gpt2_characters(std::string_view bytes);
/// The way back; nothing if a character stands for no byte, or the text is not valid UTF-8.
std::optional<std::string> gpt2_bytes(std::string_view characters);

}  // namespace folio
