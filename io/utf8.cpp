#include "folio/io/utf8.h"

#include <fmt/core.h>
#include <utf8.h>

#include <algorithm>
#include <iterator>

#include "folio/tensor/error.h"

namespace folio {
namespace {

constexpr std::string_view advice = "save the text as UTF-8 (for example with iconv)";

/// Whether continuation bytes can complete `bytes`, a lead byte and at least one byte after it, to
/// a valid character. Only the byte after the lead has a restricted range, so any will do.
bool is_truncated_character(std::string bytes) {
  while (bytes.size() < 4) {
    bytes += '\xBF';
    if (utf8::is_valid(bytes.begin(), bytes.end())) return true;
  }
  return false;
}

}  // namespace

std::vector<char32_t> decode_utf8(std::string_view text, std::string_view where) {
  std::vector<char32_t> code_points;
  code_points.reserve(text.size());
  const char* next = text.data();
  const char* const end = next + text.size();
  try {
    while (next != end) code_points.push_back(utf8::next(next, end));
  } catch (const utf8::not_enough_room&) {
    fail(where,
         fmt::format("the text ends at byte {} inside a UTF-8 character; {}", text.size(), advice));
  } catch (const utf8::exception&) {
    const bool utf16 = text.starts_with("\xff\xfe") || text.starts_with("\xfe\xff");
    fail(where, fmt::format("byte {} (counted from 0) is 0x{:02x}, which is not valid UTF-8 "
                            "there{}; {}",
                            next - text.data(), static_cast<uint8_t>(*next),
                            utf16 ? " (it looks like UTF-16)" : "", advice));
  }
  return code_points;
}

bool is_utf8(std::string_view text) { return utf8::is_valid(text.begin(), text.end()); }

std::string repaired_utf8(std::string_view text) {
  std::string result;
  while (true) {
    const auto valid = std::distance(text.begin(), utf8::find_invalid(text.begin(), text.end()));
    result += text.substr(0, static_cast<size_t>(valid));
    text.remove_prefix(static_cast<size_t>(valid));
    if (text.empty()) return result;
    result += "\uFFFD";
    size_t length = 1;
    while (length < std::min<size_t>(3, text.size()) &&
           is_truncated_character(std::string(text.substr(0, length + 1)))) {
      ++length;
    }
    text.remove_prefix(length);
  }
}

std::string_view complete_utf8(std::string_view text) {
  if (text.empty()) return text;
  const size_t lead = character_start(text, text.size() - 1);
  const auto byte = static_cast<uint8_t>(text[lead]);
  const size_t length = byte >= 0xF0u ? 4 : byte >= 0xE0u ? 3 : byte >= 0xC0u ? 2 : 1;
  return text.size() - lead < length ? text.substr(0, lead) : text;
}

void append_utf8(std::string& text, char32_t code_point) {
  utf8::unchecked::append(code_point, std::back_inserter(text));
}

int64_t count_characters(std::string_view text) {
  return std::ranges::count_if(text, [](char byte) { return !is_continuation(byte); });
}

size_t character_start(std::string_view text, size_t position) {
  while (position > 0 && position < text.size() && is_continuation(text[position])) --position;
  return position;
}

std::string describe_character(char32_t code_point) {
  constexpr std::u32string_view special = U"\n\t\r";
  std::string character;
  if (const size_t i = special.find(code_point); i != special.npos) {
    character = std::string("\\") + "ntr"[i];
  } else if (code_point < 0x20 || (code_point >= 0x7F && code_point < 0xA0)) {
    return fmt::format("U+{:04X}", static_cast<uint32_t>(code_point));  // could control a terminal
  } else {
    append_utf8(character, code_point);
  }
  return fmt::format("'{}' (U+{:04X})", character, static_cast<uint32_t>(code_point));
}

}  // namespace folio
