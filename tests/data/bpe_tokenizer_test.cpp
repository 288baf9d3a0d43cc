#include "folio/data/bpe_tokenizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <string_view>
#include <tuple>
#include <unordered_map>
#include <utility>
#include <vector>

#include "data/learned_bpe.h"
#include "folio/data/gpt2_bytes.h"
#include "folio/data/gpt2_words.h"
#include "folio/io/utf8.h"
#include "support/golden.h"
#include "support/temporary.h"

namespace folio {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::Not;
using testing::StartsWith;

using Merges = std::vector<std::string>;

std::unique_ptr<BpeTokenizer> learned_from(const std::unordered_map<std::string, int64_t>& count,
                                           int64_t vocabulary = 1000) {
  return BpeTokenizer::learn(count, vocabulary);
}

/// "left right", as Hugging Face writes bytes.
Merges merges_of(const BpeTokenizer& tokenizer) {
  return nlohmann::json::parse(tokenizer.to_json())["model"]["merges"].get<Merges>();
}

std::string text_of_token(const BpeTokenizer& tokenizer, int32_t token) {
  return tokenizer.decode({&token, 1});
}

/// Random words over few letters, where pairs overlap and counts tie.
std::string random_text(std::mt19937& random, std::string_view letters, int length) {
  std::string text;
  for (int i = 0; i < length; ++i) text += letters[random() % letters.size()];
  return text;
}

/// Random characters, all lengths of UTF-8 alike.
std::string random_unicode(std::mt19937& random, int length) {
  constexpr std::array<uint32_t, 4> bounds = {0x80, 0x800, 0x10000, 0x110000};
  std::string text;
  while (length > 0) {
    const uint32_t code_point = random() % bounds[random() % bounds.size()];
    if (code_point >= 0xD800 && code_point <= 0xDFFF) continue;
    append_utf8(text, code_point);
    --length;
  }
  return text;
}

TEST(BpeGolden, LearnsAndEncodesAsHuggingFace) {
  const nlohmann::json file = read_golden("bpe.json");
  for (const nlohmann::json& golden : file["cases"]) {
    const auto wanted = golden["vocabulary_wanted"].get<int64_t>();
    const auto text = golden["text"].get<std::string>();
    const auto tokenizer = learned_bpe(text, wanted);
    EXPECT_EQ(merges_of(*tokenizer), golden["merges"].get<Merges>());
    EXPECT_EQ(tokenizer->vocabulary(), 257 + std::ssize(golden["merges"]));
    EXPECT_EQ(tokenizer->encode(text, "t"), golden["tokens"].get<std::vector<int32_t>>());
    const auto unseen = golden["unseen"].get<std::string>();
    EXPECT_EQ(tokenizer->encode(unseen, "t"), golden["unseen_tokens"].get<std::vector<int32_t>>());
  }
}

TEST(BpeTokenizer, NumbersBytesAsGpt2DoesAndTheEndOfATextLast) {
  const auto tokenizer = learned_bpe("low low", 1000);
  EXPECT_EQ(tokenizer->kind(), "bpe");
  EXPECT_THAT(merges_of(*tokenizer), ElementsAre("l o", "lo w"));
  EXPECT_EQ(tokenizer->vocabulary(), 259);
  EXPECT_EQ(tokenizer->end_of_text(), 258);
  EXPECT_EQ(text_of_token(*tokenizer, 258), "<|endoftext|>");
  EXPECT_THAT(tokenizer->encode("!\"~\u00ff", "t"), ElementsAre(0, 1, 93, 127, 123));
  EXPECT_THAT(tokenizer->encode(std::string_view("\0", 1), "t"), ElementsAre(188));
  EXPECT_THAT(tokenizer->encode("lo low", "t"), ElementsAre(256, 220, 257));
  EXPECT_TRUE(tokenizer->encode("", "t").empty());
}

TEST(BpeTokenizer, DecodesWhatItEncodes) {
  std::mt19937 random(1);
  const auto tokenizer =
      learned_bpe(random_unicode(random, 20'000) + random_text(random, "abc 1\n", 20'000), 600);
  ASSERT_GT(tokenizer->vocabulary(), 400);
  for (int i = 0; i < 200; ++i) {
    const std::string text =
        i % 2 == 0 ? random_unicode(random, i) : random_text(random, "abcd 12\n'", 5 * i);
    const std::vector<int32_t> tokens = tokenizer->encode(text, "t");
    EXPECT_EQ(tokenizer->decode(tokens), text);
    EXPECT_THAT(tokens, Not(Contains(*tokenizer->end_of_text())));
  }
}

TEST(BpeTokenizer, CharactersMayBeCut) {
  const auto tokenizer = learned_bpe("low", 257);
  const std::vector<int32_t> tokens = tokenizer->encode("\u20ac", "t");
  ASSERT_EQ(tokens.size(), 3u);
  EXPECT_EQ(text_of_token(*tokenizer, tokens[1]), "\x82");
}

TEST(BpeTokenizer, TheNameOfTheEndOfATextIsOrdinaryText) {
  std::string text = "<|endoftext|>";
  for (int i = 0; i < 6; ++i) text += text;
  const auto tokenizer = learned_bpe(text, 1000);  // its parts become tokens as any other word
  const auto end = tokenizer->end_of_text();
  ASSERT_TRUE(end);
  const std::vector<int32_t> tokens = tokenizer->encode("a<|endoftext|>b <|endoftext|>", "t");
  EXPECT_THAT(tokens, Not(Contains(*end)));
  EXPECT_EQ(tokenizer->decode(tokens), "a<|endoftext|>b <|endoftext|>");
  EXPECT_THAT(tokenizer->encode("endoftext", "t"), ElementsAre(testing::Ge(256)));
}

TEST(BpeTokenizer, BadTextAndTokensAreRefused) {
  const auto tokenizer = learned_bpe("low low", 1000);
  EXPECT_THAT(error_of([&] { tokenizer->encode("ab\xff", "prompt"); }),
              StartsWith("prompt: byte 2 (counted from 0) is 0xff"));
  EXPECT_THAT(error_of([] { learned_bpe("ab\xff", 1000); }),
              StartsWith("text.txt: byte 2 (counted from 0) is 0xff"));
  for (const int32_t token : {-1, 259, INT32_MAX, INT32_MIN}) {
    EXPECT_EQ(
        error_of([&] { text_of_token(*tokenizer, token); }),
        "bpe tokenizer: cannot decode token " + std::to_string(token) + "; tokens are 0 to 258");
  }
}

TEST(BpeTokenizer, WhatDoesNotFitTogetherIsRefused) {
  std::vector<std::string> bytes;
  for (const uint8_t byte : gpt2_byte_order()) bytes.emplace_back(1, static_cast<char>(byte));
  const int32_t a = 'a' - '!', b = 'b' - '!', ab = 256, end = 257;
  bytes.insert(bytes.end(), {"ab", "<|endoftext|>"});
  const auto make = [&](std::vector<BpeMerge> merges) {
    return BpeTokenizer(bytes, std::move(merges), {{end, "<|endoftext|>"}}, "x");
  };
  EXPECT_THAT(make({{a, b, ab}}).encode("ab", "t"), ElementsAre(ab));
  for (const BpeMerge& merge : {BpeMerge{a, b, a},
                                {b, a, ab},
                                {a, a, ab},
                                {a, b, 258},
                                {258, b, ab},
                                {a, -1, ab},
                                {a, b, -1},
                                {a, b, end},
                                {end, b, ab},
                                {INT32_MIN, INT32_MAX, ab}}) {
    EXPECT_EQ(error_of([&] {
                make({{a, b, ab}, merge});
              }),
              "x: merge 1 (counted from 0) does not join two tokens to a third");
  }
  bytes[static_cast<size_t>(b)] = "bb";
  EXPECT_EQ(error_of([&] { make({}); }), "x: there is no token for the byte 0x62");
  bytes[end] = "b";  // a special token is none
  EXPECT_EQ(error_of([&] { make({}); }), "x: there is no token for the byte 0x62");
}

TEST(BpeLearning, CountsWords) {
  std::unordered_map<std::string, int64_t> count = {{"low", 5}};
  BpeTokenizer::count_words(count, "low low  low's", "t");
  EXPECT_EQ(count, (std::unordered_map<std::string, int64_t>{
                       {"low", 6}, {" low", 2}, {" ", 1}, {"'s", 1}}));
}

TEST(BpeLearning, TheMostFrequentPairComesFirst) {
  EXPECT_THAT(merges_of(*learned_from({{"ab", 2}, {"cd", 3}, {"ef", 1}})),
              ElementsAre("c d", "a b"));
  // 5 times in one word, or once in each of 5.
  EXPECT_THAT(merges_of(*learned_from({{"xyaxybxycxydxye", 1}, {"pq", 5}, {"rs", 6}}, 260)),
              ElementsAre("r s", "p q", "x y"));
}

TEST(BpeLearning, OfEquallyFrequentPairsTheLowerTokensComeFirst) {
  EXPECT_THAT(merges_of(*learned_from({{"cd", 2}, {"ab", 2}, {"ad", 2}, {"b!", 2}})),
              ElementsAre("a b", "a d", "b !", "c d"));
  // A space comes before letters as a byte, but after them as a token.
  EXPECT_THAT(merges_of(*learned_from({{" a", 2}, {"za", 2}, {"\n!", 2}})),
              ElementsAre("z a", "\u010a !", "\u0120 a"));
}

TEST(BpeLearning, RepeatedLettersAreJoinedFromTheLeft) {
  EXPECT_THAT(merges_of(*learned_from({{"aaa", 1}})), ElementsAre("a a"));
  EXPECT_THAT(merges_of(*learned_from({{"aaaa", 2}})), ElementsAre("a a", "aa aa"));
  const auto tokenizer = learned_from({{"aaaaa", 2}});
  EXPECT_THAT(merges_of(*tokenizer), ElementsAre("a a", "aa a", "aa aaa"));
  EXPECT_THAT(tokenizer->encode("aaaaa", "t"), ElementsAre(258));
  EXPECT_THAT(tokenizer->encode("aaaaaaa", "t"), ElementsAre(256, 258));
}

TEST(BpeLearning, EndsWhereNoPairOccursTwice) {
  EXPECT_EQ(learned_from({})->vocabulary(), 257);
  EXPECT_EQ(learned_from({{"a", 100}})->vocabulary(), 257);
  EXPECT_EQ(learned_from({{"abcdef", 1}})->vocabulary(), 257);
  EXPECT_EQ(learned_from({{"abc", 2}}, INT64_MAX)->vocabulary(), 259);
}

TEST(BpeLearning, TheVocabularyIsWhatWasAskedFor) {
  EXPECT_EQ(learned_from({{"abcdefgh", 2}}, 257)->vocabulary(), 257);
  EXPECT_EQ(learned_from({{"abcdefgh", 2}}, 260)->vocabulary(), 260);
  for (const int64_t vocabulary : {int64_t{256}, int64_t{0}, int64_t{-1}, INT64_MIN}) {
    EXPECT_EQ(error_of([&] {
                learned_from({{"abc", 2}}, vocabulary);
              }),
              "bpe tokenizer: the vocabulary is " + std::to_string(vocabulary) +
                  "; it must be at least 257: 256 bytes and the end of a text");
  }
}

// The algorithm as it is told: all pairs are counted anew for each merge.
struct Plain {
  std::vector<std::string> merges;
  std::map<std::pair<std::string, std::string>, size_t> ranks;

  Plain(const std::unordered_map<std::string, int64_t>& count, size_t most) {
    std::array<int32_t, 256> number{};
    int32_t next = 0;
    for (const uint8_t byte : gpt2_byte_order()) number[byte] = next++;
    std::map<std::string, int32_t> numbers;
    std::vector<std::pair<std::vector<std::string>, int64_t>> words;
    for (const auto& [word, times] : count) {
      words.push_back({{}, times});
      for (const char c : word) {
        words.back().first.emplace_back(1, c);
        numbers[std::string(1, c)] = number[static_cast<uint8_t>(c)];
      }
    }
    while (merges.size() < most) {
      std::map<std::pair<std::string, std::string>, int64_t> pairs;
      for (const auto& [tokens, times] : words) {
        for (size_t k = 1; k < tokens.size(); ++k) pairs[{tokens[k - 1], tokens[k]}] += times;
      }
      const auto order = [&](const auto& pair) {
        return std::tuple(-pair.second, numbers[pair.first.first], numbers[pair.first.second]);
      };
      const auto best = std::ranges::min_element(pairs, {}, order);
      if (best == pairs.end() || best->second < 2) break;
      const auto [left, right] = best->first;
      ranks.emplace(best->first, merges.size());
      numbers.emplace(left + right, next++);
      merges.push_back(gpt2_characters(left) + " " + gpt2_characters(right));
      for (auto& [tokens, times] : words) {
        for (size_t k = 1; k < tokens.size(); ++k) {
          if (tokens[k - 1] != left || tokens[k] != right) continue;
          tokens[k - 1] += right;
          tokens.erase(tokens.begin() + static_cast<std::ptrdiff_t>(k));
        }
      }
    }
  }

  std::vector<std::string> encode(std::string_view word) const {
    std::vector<std::string> tokens;
    for (const char c : word) tokens.emplace_back(1, c);
    while (true) {
      size_t best = SIZE_MAX, at = 0;
      for (size_t k = 1; k < tokens.size(); ++k) {
        const auto rank = ranks.find({tokens[k - 1], tokens[k]});
        if (rank == ranks.end() || rank->second >= best) continue;
        best = rank->second;
        at = k;
      }
      if (best == SIZE_MAX) return tokens;
      tokens[at - 1] += tokens[at];
      tokens.erase(tokens.begin() + static_cast<std::ptrdiff_t>(at));
    }
  }
};

TEST(BpeLearning, AgreesWithThePlainAlgorithm) {
  std::mt19937 random(7);
  for (int round = 0; round < 60; ++round) {
    const std::string_view letters = std::string_view("abcd\x01").substr(0, 1 + random() % 5);
    std::unordered_map<std::string, int64_t> count;
    for (int i = 0; i < 12; ++i) {
      count[random_text(random, letters, 1 + static_cast<int>(random() % 14))] +=
          1 + static_cast<int64_t>(random() % 3);
    }
    const size_t most = 1 + random() % 40;
    const Plain plain(count, most);
    const auto tokenizer = learned_from(count, 257 + static_cast<int64_t>(most));
    ASSERT_EQ(merges_of(*tokenizer), plain.merges);
    std::set<std::string> different;
    for (int32_t token = 0; token < tokenizer->vocabulary(); ++token) {
      different.insert(text_of_token(*tokenizer, token));
    }
    EXPECT_EQ(std::ssize(different), tokenizer->vocabulary());
    for (int i = 0; i < 20; ++i) {
      std::string word = random_text(random, letters, static_cast<int>(random() % 60));
      // Letters and the control character are words of different kinds.
      std::replace(word.begin(), word.end(), '\x01', 'a');
      std::vector<std::string> tokens;
      for (const int32_t token : tokenizer->encode(word, "t")) {
        tokens.push_back(text_of_token(*tokenizer, token));
      }
      EXPECT_EQ(tokens, plain.encode(word)) << word;
    }
  }
}

TEST(BpeTokenizer, WordsCanBeVeryLong) {
  constexpr size_t length = 1 << 20;
  std::mt19937 random(3);
  const auto tokenizer = learned_from(
      {{"aaaa", 9}, {random_text(random, "abc", 2000), 1}, {std::string(64, ' '), 1}}, 400);
  for (const std::string& word :
       {std::string(length, 'a'), std::string(length, ' '), random_text(random, "abc", length)}) {
    const std::vector<int32_t> tokens = tokenizer->encode(word, "t");
    EXPECT_LE(tokens.size(), length / 2);
    EXPECT_EQ(tokenizer->decode(tokens), word);
  }
}

TEST(Gpt2Bytes, AreWrittenAsCharactersThatCanBeSeen) {
  EXPECT_EQ(gpt2_characters(" a\n\u00e9"), "\u0120a\u010a\u00c3\u00a9");
  EXPECT_EQ(gpt2_characters(std::string_view("\0\x7f\xa0\xad\xff", 5)),
            "\u0100\u0121\u0142\u0143\u00ff");
  const auto order = gpt2_byte_order();
  EXPECT_EQ(std::set<uint8_t>(order.begin(), order.end()).size(), 256u);
  EXPECT_EQ(order[0], '!');
  EXPECT_EQ(order[94], 0xA1);
  EXPECT_EQ(order[188], 0);
  EXPECT_EQ(order[255], 0xAD);
}

TEST(Gpt2Bytes, ComeBack) {
  std::string all;
  for (int byte = 0; byte < 256; ++byte) all += static_cast<char>(byte);
  EXPECT_EQ(gpt2_bytes(gpt2_characters(all)), all);
  EXPECT_EQ(gpt2_bytes(""), "");
  for (const char* characters : {"a b", "\u0144", "\u4e2d", "\x7f", "\u00ad", "a\xff"}) {
    EXPECT_EQ(gpt2_bytes(characters), std::nullopt) << characters;
  }
}

}  // namespace
}  // namespace folio
