// Tokenizer files. What is accepted must come back the same from to_json(), and decode.
#include <numeric>

#include "folio/data/tokenizer.h"
#include "folio/data/utf8.h"
#include "fuzz/target.h"

namespace folio {
namespace {

void run(std::string_view input) {
  const auto tokenizer = tokenizer_from_json(input, "tokenizer.json");
  expect(tokenizer_from_json(tokenizer->to_json(), "again.json")->hash() == tokenizer->hash(),
         "to_json() does not read back to the same tokenizer");
  std::vector<int32_t> all(static_cast<size_t>(tokenizer->vocabulary()));
  std::iota(all.begin(), all.end(), 0);
  decode_utf8(tokenizer->decode(all), "all tokens decoded");
}

}  // namespace

FuzzTarget tokenizer_target() {
  FuzzTarget target;
  target.name = "tokenizer";
  target.memory = {96, 1 << 20};
  target.run = run;
  target.corpus = {
      CharTokenizer::build("To be, or not to be", UnknownCharacter::error, "x")->to_json(),
      CharTokenizer::build("\xC3\xA9\xF0\x9F\x98\x80\n", UnknownCharacter::replace, "x")->to_json(),
      R"({"kind": "char", "unknown_character": "error", "characters": [0, 55295, 57344, 1114111]})"};
  target.dictionary = {"\"kind\":",
                       "\"char\"",
                       "\"bpe\"",
                       "\"unknown_character\":",
                       "\"replace\"",
                       "\"error\"",
                       "\"characters\":",
                       "[",
                       "]",
                       "{",
                       "}",
                       ",",
                       ":",
                       "\"",
                       "55296",
                       "1114112",
                       "-1",
                       "1.0",
                       "1e2",
                       "null",
                       "true",
                       "\\u0000",
                       "\\ud800",
                       "[]"};
  return target;
}

}  // namespace folio
