#include "folio/data/gpt2_words.h"

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
using Words = std::vector<std::string>;
using namespace std::string_literals;

Words words_of(std::string_view text) {
  Words words;
  split_words(text, "text.txt", [&](std::string_view word) { words.emplace_back(word); });
  return words;
}

// The words are those of Hugging Face's pre_tokenizers.ByteLevel(add_prefix_space=False).
TEST(Words, AreCutAsGpt2Does) {
  const std::vector<Words> cases = {
      {},
      {"Hello", " world"},
      {" Hello", ",", " world", "!"},
      // English contractions, in small letters only; without a letter they are signs.
      {"I", "'m", " they", "'ll", " we", "'ve", " you", "'re", " he", "'d", " it", "'s", " don",
       "'t"},
      {"'t", "is", " '", "tis", " O", "'", "Neill", "'s", " \"'", "s", "'s"},
      {"IT", "'", "S", " it", "\u2019", "s"},
      {"'s", "ta", "'d", "'", " s"},
      // The last space goes with the word.
      {"a", " ", " b", "  ", " c", "  ", " 1", "  ", " !", "   "},
      {"a", "\t", "b", " ", "\t", "c", "\t", " d"},
      {"a", "\n", "b", "\n", "\n", "c", "\n\n", " d", "\r", "\n", "e", " ", "\n", "f", " \n\n"},
      // Digits, with letters before and after.
      {"a", "1", "b", "22", " 333", "-", "4", ".", "5", " \u00b2\u2167", " \u0663\u0664"},
      {"x", "_", "y", " __", "z", "++;"},
      // Letters of other scripts; a mark that combines is no letter.
      {"\u03bb\u03cc\u03b3\u03bf\u03c2", " \u4eba\u4eba", "\u3002", "\u043c\u0438\u0440",
       " na\u00efve"},
      {"e", "\u0301", "te", "\u0301"},
      {"\u05e9\u05dc\u05d5\u05dd", " \u0939", "\u093f", "\u0928", "\u094d", "\u0926", "\u0940"},
      // White space that is no space does not go with the word.
      {"a", "\u00a0", "b", " ", "\u00a0", "c", "\u3000", "d", "\u00a0", " e", "\u2003\u3000"},
      {"a", "\u2028", "b", "\u0085", "c", "\v", "d", "\f", "e"},
      // Emoji, also with what joins them.
      {"\U0001F642\U0001F642", " \U0001F469\u200D\U0001F467", "a", " \u2764\uFE0F!"},
      // Neither letters nor white space.
      {"a", "\0\x7f\u00ad"s, "b", " \0"s, "c", "\u200b\u2060\ufeff", "d"},
      {"a", "<|", "endoftext", "|>", "b"},
  };
  for (const Words& words : cases) {
    std::string text;
    for (const std::string& word : words) text += word;
    EXPECT_EQ(words_of(text), words) << text;
  }
}

// White space by PCRE2's \s, though not by Unicode's property since 6.3: Hugging Face and Python
// take it for a sign.
TEST(Words, TheMongolianVowelSeparatorIsNoWhiteSpace) {
  EXPECT_THAT(words_of("a\u180e \u180eb1\u180e!\u180e"),
              ElementsAre("a", "\u180e", " \u180e", "b", "1", "\u180e!\u180e"));
}

TEST(Words, TogetherTheyAreTheText) {
  std::string text;
  // Neighbours of all kinds: each character is followed by each other one.
  const Words characters = {"a",  "s",  "'",      "1",      "!",      " ",          "\n",
                            "\r", "\t", "\u00e9", "\u4e2d", "\u00a0", "\U0001F642", "\0"s};
  for (const std::string& one : characters) {
    for (const std::string& other : characters) text += one + other;
  }
  const Words words = words_of(text);
  std::string together;
  for (const std::string& word : words) {
    EXPECT_FALSE(word.empty());
    together += word;
  }
  EXPECT_EQ(together, text);
}

TEST(Words, AreViewsOfTheText) {
  const std::string text = "To be, or";
  size_t at = 0;
  split_words(text, "text.txt", [&](std::string_view word) {
    EXPECT_EQ(word.data(), text.data() + at);
    at += word.size();
  });
  EXPECT_EQ(at, text.size());
}

TEST(Words, BadUtf8IsRefusedWithItsByte) {
  EXPECT_EQ(error_of([] { words_of("ab\xff"); }),
            "text.txt: byte 2 (counted from 0) is 0xff, which is not valid UTF-8 there; save the "
            "text as UTF-8 (for example with iconv)");
  EXPECT_THAT(error_of([] { words_of("\x80"); }), StartsWith("text.txt: byte 0 "));
  EXPECT_THAT(error_of([] { words_of("many words before \xe2\x82"); }),
              StartsWith("text.txt: the text ends at byte 20 inside a UTF-8 character"));
  EXPECT_THAT(error_of([] { words_of("a \xed\xa0\x80 b"); }), HasSubstr("0xed"));  // a surrogate
  EXPECT_THAT(error_of([] { words_of("a \xc0\x80"); }), HasSubstr("0xc0"));        // overlong
}

TEST(Words, NothingIsTakenFromBadUtf8) {
  int words = 0;
  error_of([&] { split_words("one two\xff", "text.txt", [&](std::string_view) { ++words; }); });
  EXPECT_EQ(words, 0);
}

TEST(Words, CanBeVeryLong) {
  for (const char* character : {"a", "1", "!", " ", "\n", "\u00e9", "\u4e2d", "\u3000"}) {
    std::string text;
    while (text.size() < 2'000'000) text += character;
    EXPECT_EQ(words_of(text), Words{text}) << character;
  }
  const std::string spaces(2'000'000, ' ');
  EXPECT_EQ(words_of(spaces + "a"), (Words{spaces.substr(1), " a"}));
}

/// The words of the pieces, each of which words_up_to() cut off.
Words words_of_pieces(std::string_view text, size_t bytes) {
  Words words;
  while (!text.empty()) {
    const std::string_view piece = words_up_to(text, bytes);
    if (piece.empty()) {
      ADD_FAILURE() << "an empty piece of " << bytes << " bytes";
      break;
    }
    for (std::string& word : words_of(piece)) words.push_back(std::move(word));
    text.remove_prefix(piece.size());
  }
  return words;
}

TEST(WordsUpTo, PiecesHaveTheWordsOfTheWhole) {
  const std::string text =
      "First line\nSecond, it's\r\nThird  \n\n\n  indented\n\ttab \t\nend.\n\n \nna\u00efve "
      "caf\u00e9\nand\u3000\n\u4eba\u4eba\n\u00a0\nx\n'\n's\n's\nca\r\r\nn't\n1\n22 \n \U0001F642\n"
      "!\n?\n\x7f\n\0\n a\n\n"s;
  const Words whole = words_of(text);
  for (size_t bytes = 0; bytes <= text.size() + 2; ++bytes) {
    EXPECT_EQ(words_of_pieces(text, bytes), whole) << bytes;
  }
}

TEST(WordsUpTo, IsTheLongestThatFits) {
  const std::string_view text = "ab\ncd \nef\n\ngh";
  EXPECT_EQ(words_up_to(text, 13), text);
  EXPECT_EQ(words_up_to(text, 100), text);
  EXPECT_EQ(words_up_to(text, 12), "ab\ncd \nef");  // not between two line breaks
  EXPECT_EQ(words_up_to(text, 9), "ab\ncd \nef");
  EXPECT_EQ(words_up_to(text, 8), "ab");  // not after a space
  EXPECT_EQ(words_up_to(text, 2), "ab");
  EXPECT_EQ(words_up_to("a\nb\nc", 3), "a\nb");
  EXPECT_EQ(words_up_to("a\nb\nc", 2), "a");
  EXPECT_EQ(words_up_to("a\nb\nc", 1), "a");
}

// Where none fits it is the shortest there is.
TEST(WordsUpTo, IsNeverEmpty) {
  EXPECT_EQ(words_up_to("ab\ncd\nef", 1), "ab");
  EXPECT_EQ(words_up_to("ab\ncd\nef", 0), "ab");
  EXPECT_EQ(words_up_to("\nab\ncd", 1), "\nab");
  EXPECT_EQ(words_up_to("abcdef", 2), "abcdef");
  EXPECT_EQ(words_up_to("\u00e9\n\u00e9\nb", 3), "\u00e9\n\u00e9\nb");
  EXPECT_EQ(words_up_to("ab\n", 0), "ab");
  EXPECT_EQ(words_up_to("", 5), "");
}

}  // namespace
}  // namespace folio
