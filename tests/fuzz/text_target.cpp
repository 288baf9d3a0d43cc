// Text of unknown encoding: as code points, as a vocabulary, as tokens and back.
#include <string>
#include <string_view>

#include "folio/data/tokenizer.h"
#include "folio/io/utf8.h"
#include "fuzz/target.h"

namespace folio {
namespace {

void run(std::string_view input) {
  static const auto some =
      CharTokenizer::build("To be, or not \xC3\xA9\n", UnknownCharacter::replace, "x");
  const std::string with_replacements = some->decode(some->encode(input, "x"));
  decode_utf8(with_replacements, "decoded");
  std::string again;
  for (char32_t code_point : decode_utf8(input, "x")) {
    append_utf8(again, code_point);
    describe_character(code_point);
  }
  expect(again == input, "code points do not give the same text again");
  const auto own = CharTokenizer::build(input, UnknownCharacter::error, "x");
  expect(own->decode(own->encode(input, "x")) == input, "tokens do not give the same text again");
}

}  // namespace

FuzzTarget text_target() {
  FuzzTarget target;
  target.name = "text";
  target.memory = {32, 1 << 20};
  target.run = run;
  target.corpus = {"", "To be, or not to be: that is the question.\n",
                   "\xEF\xBB\xBF"
                   "bom\r\n",
                   "\xC3\xA9t\xC3\xA9 \xE2\x82\xAC \xF0\x9F\x98\x80 \xF4\x8F\xBF\xBF \xED\x9F\xBF",
                   std::string("\0\x7F\xC2\x80\xDF\xBF\xE0\xA0\x80\xF0\x90\x80\x80", 14)};
  target.dictionary = {"\xC0\x80",
                       "\xC1\xBF",
                       "\xED\xA0\x80",
                       "\xF4\x90\x80\x80",
                       "\xF5",
                       "\xFF",
                       "\xE2\x82",
                       "\xF0\x9F\x98",
                       "\xC3",
                       "\x80",
                       "\xEF\xBF\xBD",
                       "\xEF\xBB\xBF",
                       "\xE2\x80\xA8",
                       "\xCC\x81",
                       "\r\n",
                       "\n",
                       "\xF0\x9F\x98\x80"};
  return target;
}

}  // namespace folio
