#include "folio/data/gpt2_words.h"

#include <cstdint>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <memory>
#include <string>

#include "folio/io/utf8.h"
#include "folio/tensor/error.h"

namespace folio {
namespace {

/// GPT-2's pattern. Its \s is Unicode's White_Space; PCRE2's \s also contains U+180E.
std::string pattern() {
  const std::string space =
      R"(\t-\r \x85\xA0\x{1680}\x{2000}-\x{200A}\x{2028}\x{2029}\x{202F}\x{205F}\x{3000})";
  return R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\p{L}\p{N})" + space + "]+|[" + space +
         "]+(?![^" + space + "])|[" + space + "]+";
}

std::string message_of(int code) {
  PCRE2_UCHAR text[256];
  pcre2_get_error_message(code, text, sizeof text);
  return reinterpret_cast<const char*>(text);
}

const pcre2_code* compiled() {
  static const std::unique_ptr<pcre2_code, void (*)(pcre2_code*)> code = [] {
    int error = 0;
    PCRE2_SIZE at = 0;
    const std::string text = pattern();
    pcre2_code* made = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(),
                                     PCRE2_UTF, &error, &at, nullptr);
    FOLIO_CHECK(made != nullptr, "words", "PCRE2 refuses the pattern at {}: {}", at,
                message_of(error));
    pcre2_jit_compile(made, PCRE2_JIT_COMPLETE);  // without JIT, matching is slower
    return std::unique_ptr<pcre2_code, void (*)(pcre2_code*)>(made, pcre2_code_free);
  }();
  return code.get();
}

}  // namespace

void split_words(std::string_view text, std::string_view where,
                 const std::function<void(std::string_view)>& take) {
  const pcre2_code* code = compiled();
  const std::unique_ptr<pcre2_match_data, void (*)(pcre2_match_data*)> match(
      pcre2_match_data_create(1, nullptr), pcre2_match_data_free);
  const auto* subject = reinterpret_cast<PCRE2_SPTR>(text.data());
  uint32_t options = PCRE2_ANCHORED;  // words are contiguous
  for (size_t begin = 0; begin < text.size();) {
    const int result =
        pcre2_match(code, subject, text.size(), begin, options, match.get(), nullptr);
    if (begin == 0 && result < 0) decode_utf8(text, where);  // throws and names the byte
    FOLIO_CHECK(result > 0, where, "cannot be split into words from byte {} on: {}", begin,
                message_of(result));
    options |= PCRE2_NO_UTF_CHECK;  // the first call has validated the whole text
    const size_t end = pcre2_get_ovector_pointer(match.get())[1];
    take(text.substr(begin, end - begin));
    begin = end;
  }
}

std::string_view words_up_to(std::string_view text, size_t bytes) {
  const auto printable = [](char c) { return c > ' ' && c < 0x7F; };
  if (text.size() <= bytes) return text;
  for (size_t end = bytes; end > 0; --end) {
    if (text[end] == '\n' && printable(text[end - 1])) return text.substr(0, end);
  }
  for (size_t end = bytes + 1; end < text.size(); ++end) {
    if (text[end] == '\n' && printable(text[end - 1])) return text.substr(0, end);
  }
  return text;
}

}  // namespace folio
