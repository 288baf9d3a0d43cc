// Tokenizer files. What is accepted must come back the same from to_json(), and decode.
#include <algorithm>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <numeric>
#include <string>
#include <string_view>
#include <vector>

#include "data/learned_bpe.h"
#include "folio/data/tokenizer.h"
#include "folio/io/utf8.h"
#include "folio/tensor/error.h"
#include "fuzz/target.h"

namespace folio {
namespace {

constexpr std::string_view sample =
    "To be, or  not to be\r\n\n that's\xC3\xA9 \xE4\xBA\xBA\xF0\x9F\x98\x80 <|endoftext|>\t "
    "1984\xC2\xA0 ";

void check(const Tokenizer& tokenizer, std::string_view input) {
  expect(tokenizer_from_json(tokenizer.to_json(), "again.json")->hash() == tokenizer.hash(),
         "to_json() does not read back to the same tokenizer");
  std::vector<int32_t> all(static_cast<size_t>(tokenizer.vocabulary()));
  std::iota(all.begin(), all.end(), 0);
  const std::string decoded = tokenizer.decode(all);
  if (tokenizer.kind() != "bpe") {
    decode_utf8(decoded, "all tokens decoded");
    return;
  }
  // Of byte pairs the tokens may be parts of characters, but every text has tokens.
  for (const std::string_view text : {sample, input}) {
    const std::vector<int32_t> tokens = tokenizer.encode(text, "text");
    expect(tokenizer.decode(tokens) == text, "tokens do not give the same text again");
    expect(!tokenizer.end_of_text() || !std::ranges::count(tokens, *tokenizer.end_of_text()),
           "a text has the token that stands between texts");
  }
}

void run(std::string_view input) {
  const auto tokenizer = tokenizer_from_json(input, "tokenizer.json");
  try {
    check(*tokenizer, input);
  } catch (const Error& error) {  // right for a file, but not for what was accepted
    expect(false, error.what());
  }
}

/// As other programs write it: merges as pairs, the special token first and not among the others.
std::string otherwise_written(const std::string& json) {
  auto file = nlohmann::json::parse(json);
  auto& vocabulary = file["model"]["vocab"];
  vocabulary.erase("<|endoftext|>");
  for (auto& number : vocabulary) number = number.get<int>() + 1;
  file["added_tokens"] = {{{"id", 0}, {"content", "<|endoftext|>"}}};
  for (auto& merge : file["model"]["merges"]) {
    const auto text = merge.get<std::string>();
    merge = {text.substr(0, text.find(' ')), text.substr(text.find(' ') + 1)};
  }
  return file.dump();
}

}  // namespace

FuzzTarget tokenizer_target() {
  const auto learned = learned_bpe("To be, or not to be, to be\xC3\xA9\xC3\xA9", 1000);
  const std::string bpe = learned->to_json();
  const std::string next = std::to_string(learned->vocabulary());
  FuzzTarget target;
  target.name = "tokenizer";
  target.memory = {96, 1 << 20};
  target.run = run;
  target.corpus = {
      CharTokenizer::build("To be, or not to be", UnknownCharacter::error, "x")->to_json(),
      CharTokenizer::build("\xC3\xA9\xF0\x9F\x98\x80\n", UnknownCharacter::replace, "x")->to_json(),
      R"({"kind": "char", "unknown_character": "error", "characters": [0, 55295, 57344, 1114111]})",
      bpe, otherwise_written(bpe)};
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
                       "[]",
                       "\"model\":",
                       "\"type\":\"BPE\"",
                       "\"type\":\"WordPiece\"",
                       "\"vocab\":{",
                       "\"merges\":[",
                       "\"added_tokens\":[",
                       "{\"id\":" + next + ",\"content\":\"<|endoftext|>\"},",
                       "{\"id\":" + next + ",\"content\":\"<x>\"},",
                       "{\"id\":0,\"content\":\"<x>\"},",
                       "\"\\n\":256",
                       "\"t o\"",
                       "[\"t\",\"o\"]",
                       "\\n",
                       "\xC4\xA0",
                       "\xC3\x83\xC2\xA9",
                       "\"normalizer\":",
                       "\"pre_tokenizer\":",
                       "\"add_prefix_space\":true",
                       "\"use_regex\":false"};
  return target;
}

}  // namespace folio
