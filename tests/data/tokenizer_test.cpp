#include "folio/data/tokenizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "folio/tensor/error.h"
#include "support/temporary.h"

namespace folio {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

std::unique_ptr<CharTokenizer> tokenizer_of(std::string_view text,
                                            UnknownCharacter unknown = UnknownCharacter::error) {
  return CharTokenizer::build(text, unknown, "t");
}

TEST(CharTokenizer, NumbersCharactersInOrderOfCodePoints) {
  const auto tokenizer = tokenizer_of("hello \u20ac\u4e2d!");
  EXPECT_EQ(tokenizer->kind(), "char");
  EXPECT_EQ(tokenizer->vocabulary(), 8);
  EXPECT_THAT(tokenizer->encode(" !ehlo\u20ac\u4e2d", "t"), ElementsAre(0, 1, 2, 3, 4, 5, 6, 7));
}

TEST(CharTokenizer, DecodesWhatItEncodes) {
  const std::string text = "First Citizen:\nna\u00efve \u20ac \U0001F600\n";
  const auto tokenizer = tokenizer_of(text);
  EXPECT_EQ(tokenizer->decode(tokenizer->encode(text, "t")), text);
}

TEST(CharTokenizer, UnknownCharacterIsAnErrorWithItsByte) {
  const auto tokenizer = tokenizer_of("ab\u00e9");
  EXPECT_EQ(error_of([&] { tokenizer->encode("a\u00e9b\u20ac", "prompt"); }),
            "prompt: the character '\u20ac' (U+20AC) at byte 4 (counted from 0) is not among the 3 "
            "that the tokenizer knows; leave it out, or use a tokenizer that replaces unknown "
            "characters");
  EXPECT_THAT(error_of([&] { tokenizer->encode("\n", "prompt"); }),
              HasSubstr("'\\n' (U+000A) at byte 0"));
}

TEST(CharTokenizer, UnknownCharacterCanBeReplaced) {
  const auto tokenizer = tokenizer_of("ab", UnknownCharacter::replace);
  EXPECT_EQ(tokenizer->vocabulary(), 3);
  const std::vector<int32_t> tokens = tokenizer->encode("axb\u20ac", "t");
  EXPECT_THAT(tokens, ElementsAre(0, 2, 1, 2));
  EXPECT_EQ(tokenizer->decode(tokens), "a\uFFFDb\uFFFD");
}

TEST(CharTokenizer, BadInputIsRefused) {
  EXPECT_THAT(error_of([] { tokenizer_of(""); }), StartsWith("t: the text is empty"));
  EXPECT_THAT(error_of([] { tokenizer_of("a\xff"); }),
              HasSubstr("byte 1 (counted from 0) is 0xff"));
  const auto tokenizer = tokenizer_of("ab");
  EXPECT_THAT(error_of([&] { tokenizer->encode("a\xff", "t"); }), HasSubstr("0xff"));
  for (int32_t token : {-1, 2, INT32_MAX, INT32_MIN}) {
    EXPECT_EQ(
        error_of([&] { tokenizer->decode(std::vector{token}); }),
        "char tokenizer: cannot decode token " + std::to_string(token) + "; tokens are 0 to 1");
  }
  EXPECT_THAT(error_of([] { CharTokenizer({}, UnknownCharacter::error); }),
              HasSubstr("no characters"));
  EXPECT_THAT(error_of([] {
                CharTokenizer({U'b', U'a'}, UnknownCharacter::error);
              }),
              HasSubstr("sorted"));
  EXPECT_THAT(error_of([] {
                CharTokenizer({U'a', U'a'}, UnknownCharacter::error);
              }),
              HasSubstr("without repetition"));
}

TEST(CharacterSet, HoldsTheCharactersOfAllTexts) {
  CharacterSet set;
  EXPECT_TRUE(set.characters().empty());
  set.add("hello \u20ac", "one.txt");
  set.add("", "empty.txt");
  set.add("loch\U0010FFFF\u00e9?@", "two.txt");
  EXPECT_THAT(set.characters(), ElementsAre(U' ', U'?', U'@', U'c', U'e', U'h', U'l', U'o',
                                            U'\u00e9', U'\u20ac', U'\U0010FFFF'));
  set.add(std::string_view("\0", 1), "three.txt");
  EXPECT_EQ(set.characters().front(), U'\0');
  EXPECT_EQ(set.characters().size(), 12u);
  EXPECT_THAT(error_of([&] { set.add("x\xff", "four.txt"); }),
              StartsWith("four.txt: byte 1 (counted from 0) is 0xff"));
  EXPECT_EQ(set.characters().size(), 12u);
}

TEST(CharacterSet, MakesTheTokenizerOfTheTextsTogether) {
  CharacterSet set;
  set.add("abc", "one.txt");
  set.add("cd", "two.txt");
  const CharTokenizer tokenizer(set.characters(), UnknownCharacter::error);
  EXPECT_EQ(tokenizer.to_json(), tokenizer_of("abccd")->to_json());
  EXPECT_EQ(tokenizer.end_of_text(), std::nullopt);
}

TEST(Tokenizer, ComesBackFromJson) {
  for (auto unknown : {UnknownCharacter::error, UnknownCharacter::replace}) {
    const auto tokenizer = tokenizer_of("hello\n\u20ac\U0001F600", unknown);
    const auto again = tokenizer_from_json(tokenizer->to_json(), "t");
    EXPECT_EQ(again->to_json(), tokenizer->to_json());
    EXPECT_EQ(again->hash(), tokenizer->hash());
    EXPECT_EQ(again->vocabulary(), tokenizer->vocabulary());
    EXPECT_EQ(again->encode("hell\u20ac", "t"), tokenizer->encode("hell\u20ac", "t"));
  }
}

TEST(Tokenizer, HashTellsTokenizersApart) {
  EXPECT_EQ(tokenizer_of("ab")->hash(), tokenizer_of("abba")->hash());
  EXPECT_NE(tokenizer_of("ab")->hash(), tokenizer_of("abc")->hash());
  EXPECT_NE(tokenizer_of("ab")->hash(), tokenizer_of("ab", UnknownCharacter::replace)->hash());
  EXPECT_EQ(tokenizer_of("ab")->hash().size(), 16u);
}

std::string json_with(const std::string& characters) {
  return R"({"kind":"char","unknown_character":"error","characters":)" + characters + "}";
}

TEST(Tokenizer, MalformedJsonIsRefused) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"", "not valid JSON at byte"},
      {"{\"kind\": \xff}", "not valid JSON at byte"},
      {"{", "not valid JSON at byte"},
      {json_with("[1e999]"), "not valid JSON"},
      {std::string(100'000, '['), "not valid JSON at byte"},
      {"[]", "the JSON is not an object"},
      {"12", "the JSON is not an object"},
      {"{}", "the tokenizer has no \"kind\""},
      {R"({"kind": 3})", "\"kind\" of the tokenizer is not text"},
      {R"({"kind": "bpe"})",
       "unknown kind; wanted char, synthetic, or Hugging Face's tokenizer.json"},
      {R"({"kind": "char"})", "has no \"unknown_character\""},
      {R"({"kind": "char", "unknown_character": null})", "is not text"},
      {R"({"kind": "char", "unknown_character": "x"})", "neither \"error\" nor \"replace\""},
      {R"({"kind": "char", "unknown_character": "error"})", "has no \"characters\""},
      {json_with("3"), "not a list of code points"},
      {json_with("[]"), "not a list of code points"},
      {json_with(R"(["a"])"), "entry 0 of \"characters\" is not a whole number"},
      {json_with("[97, -1]"), "entry 1 of \"characters\" is not a whole number"},
      {json_with("[97.0]"), "entry 0 of \"characters\" is not a whole number"},
      {json_with("[97, 1114112]"), "entry 1 of \"characters\" is 1114112, which is not a Unicode"},
      {json_with("[18446744073709551615]"), "is 18446744073709551615, which is not a Unicode"},
      {json_with("[99999999999999999999]"), "entry 0 of \"characters\" is not a whole number"},
      {json_with("[55296]"), "is 55296, which is not a Unicode"},  // a surrogate
      {json_with("[98, 97]"), "entry 1 of \"characters\" is 97, not above the entry before it, 98"},
      {json_with("[97, 97]"), "entry 1 of \"characters\" is 97, not above the entry before it, 97"},
  };
  for (const auto& [json, complaint] : cases) {
    const std::string error =
        error_of([&json = json] { tokenizer_from_json(json, "tokenizer.json"); });
    EXPECT_THAT(error, StartsWith("tokenizer.json: ")) << json.substr(0, 80);
    EXPECT_THAT(error, HasSubstr(complaint)) << json.substr(0, 80);
  }
}

}  // namespace
}  // namespace folio
