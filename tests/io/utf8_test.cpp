#include "folio/io/utf8.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "support/temporary.h"

namespace folio {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;
using namespace std::string_view_literals;

TEST(Utf8, DecodesOneToFourBytes) {
  EXPECT_THAT(decode_utf8("a\u00e9\u20ac\U0001F600", "t"),
              ElementsAre(U'a', U'\u00e9', U'\u20ac', U'\U0001F600'));
  EXPECT_TRUE(decode_utf8("", "t").empty());
  EXPECT_THAT(decode_utf8("a\0b"sv, "t"), ElementsAre(U'a', U'\0', U'b'));
}

TEST(Utf8, EveryCodePointComesBack) {
  std::string text;
  std::vector<char32_t> expected;
  for (char32_t c = 0; c <= 0x10FFFF; ++c) {
    if (c >= 0xD800 && c <= 0xDFFF) continue;
    append_utf8(text, c);
    expected.push_back(c);
  }
  EXPECT_EQ(decode_utf8(text, "t"), expected);
}

struct Invalid {
  std::string_view text;
  std::string_view complaint;
};

TEST(Utf8, InvalidTextIsRefusedWithPositionAndByte) {
  const std::vector<Invalid> cases = {
      {"ab\x80", "byte 2 (counted from 0) is 0x80"},  // continuation without a lead
      {"\xff", "byte 0 (counted from 0) is 0xff"},
      {"a\xc0\x80", "byte 1 (counted from 0) is 0xc0"},  // overlong
      {"a\xc1\xbf", "byte 1 (counted from 0) is 0xc1"},
      {"\xe0\x9f\xbf", "byte 0 (counted from 0) is 0xe0"},      // overlong
      {"\xf0\x8f\xbf\xbf", "byte 0 (counted from 0) is 0xf0"},  // overlong
      {"\xed\xa0\x80", "byte 0 (counted from 0) is 0xed"},      // surrogate
      {"\xf4\x90\x80\x80", "byte 0 (counted from 0) is 0xf4"},  // above U+10FFFF
      {"\xff\xfeT\0",
       "byte 0 (counted from 0) is 0xff, which is not valid UTF-8 there (it looks like "
       "UTF-16)"},
      {"\xf5\x80\x80\x80", "byte 0 (counted from 0) is 0xf5"},
      {"\xe2\x82"
       "a",
       "byte 0 (counted from 0) is 0xe2"},  // cut short
      {"xy\xe2\x82", "the text ends at byte 4 inside a UTF-8 character"},
  };
  for (const Invalid& invalid : cases) {
    const std::string error = error_of([&] { decode_utf8(invalid.text, "text.txt"); });
    EXPECT_THAT(error, StartsWith("text.txt: "));
    EXPECT_THAT(error, HasSubstr(invalid.complaint));
    EXPECT_THAT(error, HasSubstr("save the text as UTF-8"));
  }
}

TEST(Utf8, BytesThatAreNoCharactersAreReplaced) {
  const std::vector<std::pair<std::string_view, std::string_view>> cases = {
      {"", ""},
      {"a\u00e9\u20ac\U0001F600\n", "a\u00e9\u20ac\U0001F600\n"},
      {"a\0b"sv, "a\0b"sv},
      {"ab\x80", "ab\uFFFD"},
      {"\x80\xbf\xff\xc0\xc1\xf5", "\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD"},
      // A character cut short is one, however much of it is there; what follows is not lost.
      {"\xc3", "\uFFFD"},
      {"\xe2\x82", "\uFFFD"},
      {"\xf0\x9f\x98", "\uFFFD"},
      {"x\xe2\x82y", "x\uFFFDy"},
      {"\xe2\x82\xe2\x82\xac", "\uFFFD\u20ac"},
      {"\xf0\x9f\xc3\xa9", "\uFFFD\u00e9"},
      {"\xc3\xc3\xa9", "\uFFFD\u00e9"},
      // No beginning of any character: an overlong form, a surrogate, above U+10FFFF.
      {"\xe0\x9f\xbf", "\uFFFD\uFFFD\uFFFD"},
      {"\xed\xa0\x80", "\uFFFD\uFFFD\uFFFD"},
      {"\xf4\x90\x80\x80", "\uFFFD\uFFFD\uFFFD\uFFFD"},
      // The rest of one, the beginning of another, as where tokens cut characters.
      {"\x82\xac and \xe2\x82", "\uFFFD\uFFFD and \uFFFD"},
      {"\u20ac\xac", "\u20ac\uFFFD"},
  };
  for (const auto& [text, repaired] : cases) {
    EXPECT_EQ(repaired_utf8(text), repaired) << testing::PrintToString(text);
  }
}

TEST(Utf8, WhatIsRepairedIsValid) {
  constexpr std::string_view bytes = "a\x80\x8f\x90\x9f\xa0\xbf\xc2\xe0\xe1\xed\xf0\xf3\xf4\xff";
  for (size_t i = 0; i < bytes.size() * bytes.size() * bytes.size() * bytes.size(); ++i) {
    std::string text;
    for (size_t rest = i, k = 0; k < 4; rest /= bytes.size(), ++k) {
      text += bytes[rest % bytes.size()];
    }
    const std::string repaired = repaired_utf8(text);
    ASSERT_FALSE(decode_utf8(repaired, "t").empty()) << testing::PrintToString(text);
    ASSERT_EQ(repaired_utf8(repaired), repaired) << testing::PrintToString(text);
  }
}

TEST(Utf8, AnIncompleteCharacterAtTheEndIsLeftOut) {
  for (const char* whole :
       {"", "a", "a\u00e9", "a\u20ac", "a\U0001F600", "a\x80", "\x80\x80\x80\x80"}) {
    EXPECT_EQ(complete_utf8(whole), whole);
  }
  for (const char* cut : {"a\xc3", "a\xe2", "a\xe2\x82", "a\xf0", "a\xf0\x9f", "a\xf0\x9f\x98"}) {
    EXPECT_EQ(complete_utf8(cut), "a");
  }
}

TEST(Utf8, CharactersAreCountedAndFound) {
  constexpr std::string_view text = "a\u00e9\u20ac\U0001F600";
  EXPECT_EQ(count_characters(text), 4);
  EXPECT_EQ(count_characters(""), 0);
  const std::vector<size_t> starts = {0, 1, 1, 3, 3, 3, 6, 6, 6, 6, 10};
  for (size_t i = 0; i < starts.size(); ++i) EXPECT_EQ(character_start(text, i), starts[i]) << i;
}

TEST(Utf8, CharactersAreDescribedForPeople) {
  EXPECT_EQ(describe_character(U'a'), "'a' (U+0061)");
  EXPECT_EQ(describe_character(U'\u00e9'), "'\u00e9' (U+00E9)");
  EXPECT_EQ(describe_character(U'\n'), "'\\n' (U+000A)");
  EXPECT_EQ(describe_character(0x1B), "U+001B");
  EXPECT_EQ(describe_character(0x1F600), "'\U0001F600' (U+1F600)");
}

}  // namespace
}  // namespace folio
