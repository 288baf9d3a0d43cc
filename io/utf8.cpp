#include "folio/io/utf8.h"

#include <algorithm>

#include "folio/tensor/error.h"

namespace folio {
namespace {

// Bytes of the sequence that `lead` begins, and the range of its second byte, which excludes
// overlong forms, surrogates and numbers above U+10FFFF (RFC 3629, section 4).
struct Sequence {
  size_t length = 0;  // 0: no sequence begins so
  uint8_t second_low = 0x80, second_high = 0xBF;
};

constexpr Sequence sequence_of(uint8_t lead) {
  if (lead < 0x80) return {1};
  if (lead < 0xC2) return {};
  if (lead < 0xE0) return {2};
  if (lead == 0xE0) return {3, 0xA0, 0xBF};
  if (lead == 0xED) return {3, 0x80, 0x9F};
  if (lead < 0xF0) return {3};
  if (lead == 0xF0) return {4, 0x90, 0xBF};
  if (lead < 0xF4) return {4};
  if (lead == 0xF4) return {4, 0x80, 0x8F};
  return {};
}

constexpr std::string_view advice = "save the text as UTF-8 (for example with iconv)";

[[noreturn]] void fail_at(std::string_view where, std::string_view text, size_t position) {
  if (position == text.size()) {
    fail(where,
         fmt::format("the text ends at byte {} inside a UTF-8 character; {}", position, advice));
  }
  const bool utf16 = text.starts_with("\xff\xfe") || text.starts_with("\xfe\xff");
  fail(where,
       fmt::format("byte {} (counted from 0) is 0x{:02x}, which is not valid UTF-8 there{}; {}",
                   position, static_cast<uint8_t>(text[position]),
                   utf16 ? " (it looks like UTF-16)" : "", advice));
}

/// A character that is not continued: its first byte is mostly the one at fault, from another
/// encoding.
[[noreturn]] void fail_inside(std::string_view where, std::string_view text, size_t first,
                              size_t position) {
  if (position == text.size()) fail_at(where, text, position);
  const auto byte = [text](size_t i) { return static_cast<uint8_t>(text[i]); };
  fail(where,
       fmt::format("byte {} (counted from 0) is 0x{:02x}, which begins a UTF-8 character that "
                   "byte {}, 0x{:02x}, does not continue; {}",
                   first, byte(first), position, byte(position), advice));
}

}  // namespace

std::vector<char32_t> decode_utf8(std::string_view text, std::string_view where) {
  const auto byte = [text](size_t i) { return static_cast<uint8_t>(text[i]); };
  std::vector<char32_t> code_points;
  code_points.reserve(text.size());
  for (size_t i = 0; i < text.size();) {
    const uint8_t lead = byte(i);
    const Sequence sequence = sequence_of(lead);
    if (sequence.length == 1) {
      code_points.push_back(lead);
      ++i;
      continue;
    }
    if (sequence.length == 0) fail_at(where, text, i);
    char32_t code_point = lead & (0x7Fu >> sequence.length);
    for (size_t k = 1; k < sequence.length; ++k) {
      const uint8_t low = k == 1 ? sequence.second_low : 0x80;
      const uint8_t high = k == 1 ? sequence.second_high : 0xBF;
      if (i + k == text.size() || byte(i + k) < low || byte(i + k) > high) {
        fail_inside(where, text, i, i + k);
      }
      code_point = code_point << 6 | (byte(i + k) & 0x3Fu);
    }
    code_points.push_back(code_point);
    i += sequence.length;
  }
  return code_points;
}

std::string repaired_utf8(std::string_view text) {
  std::string result;
  for (size_t i = 0; i < text.size();) {
    const Sequence sequence = sequence_of(static_cast<uint8_t>(text[i]));
    size_t length = std::min<size_t>(sequence.length, 1);
    while (length < sequence.length && i + length < text.size()) {
      const auto next = static_cast<uint8_t>(text[i + length]);
      const uint8_t low = length == 1 ? sequence.second_low : 0x80;
      const uint8_t high = length == 1 ? sequence.second_high : 0xBF;
      if (next < low || next > high) break;
      ++length;
    }
    if (length == sequence.length && length > 0) {
      result += text.substr(i, length);
    } else {
      result += "\uFFFD";
    }
    i += std::max<size_t>(length, 1);
  }
  return result;
}

void append_utf8(std::string& text, char32_t code_point) {
  const auto continuation = [&](int shift) {
    text += static_cast<char>(0x80u | (code_point >> shift & 0x3Fu));
  };
  if (code_point < 0x80) {
    text += static_cast<char>(code_point);
  } else if (code_point < 0x800) {
    text += static_cast<char>(0xC0u | code_point >> 6);
    continuation(0);
  } else if (code_point < 0x10000) {
    text += static_cast<char>(0xE0u | code_point >> 12);
    continuation(6);
    continuation(0);
  } else {
    text += static_cast<char>(0xF0u | code_point >> 18);
    continuation(12);
    continuation(6);
    continuation(0);
  }
}

std::string describe_character(char32_t code_point) {
  std::string character;
  if (code_point == '\n') {
    character = "\\n";
  } else if (code_point == '\t') {
    character = "\\t";
  } else if (code_point == '\r') {
    character = "\\r";
  } else if (code_point < 0x20 || (code_point >= 0x7F && code_point < 0xA0)) {
    return fmt::format("U+{:04X}", static_cast<uint32_t>(code_point));  // would upset a terminal
  } else {
    append_utf8(character, code_point);
  }
  return fmt::format("'{}' (U+{:04X})", character, static_cast<uint32_t>(code_point));
}

}  // namespace folio
