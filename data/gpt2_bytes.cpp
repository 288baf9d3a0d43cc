#include "folio/data/gpt2_bytes.h"

#include <algorithm>

#include "folio/io/utf8.h"
#include "folio/tensor/error.h"

namespace folio {
namespace {

constexpr bool is_printable(int byte) {
  return (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte <= 0xAC) ||
         (byte >= 0xAE && byte <= 0xFF);
}

/// The character for each byte.
std::array<char32_t, 256> make_characters() {
  std::array<char32_t, 256> characters{};
  char32_t next = 0x100;
  for (int byte = 0; byte < 256; ++byte) {
    characters[static_cast<size_t>(byte)] =
        is_printable(byte) ? static_cast<char32_t>(byte) : next++;
  }
  return characters;
}

const std::array<char32_t, 256> characters_of_bytes = make_characters();

}  // namespace

std::array<uint8_t, 256> gpt2_byte_order() {
  std::array<uint8_t, 256> order{};
  for (size_t i = 0; i < 256; ++i) order[i] = static_cast<uint8_t>(i);
  std::stable_partition(order.begin(), order.end(),
                        [](uint8_t byte) { return is_printable(byte); });
  return order;
}

std::string gpt2_characters(std::string_view bytes) {
  std::string text;
  for (const char byte : bytes) {
    append_utf8(text, characters_of_bytes[static_cast<uint8_t>(byte)]);
  }
  return text;
}

std::optional<std::string> gpt2_bytes(std::string_view characters) {
  if (!is_utf8(characters)) return std::nullopt;
  std::string bytes;
  for (const char32_t character : decode_utf8(characters, "")) {
    const auto found = std::ranges::find(characters_of_bytes, character);
    if (found == characters_of_bytes.end()) return std::nullopt;
    bytes += static_cast<char>(found - characters_of_bytes.begin());
  }
  return bytes;
}

}  // namespace folio
