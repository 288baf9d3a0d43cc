// The longest verbatim span beside one found by trying every pair of places.
#include "folio/inspect/novelty.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "folio/io/utf8.h"
#include "folio/run/text_identity.h"
#include "folio/tensor/random.h"
#include "support/temporary.h"
#include "support/tiny_run.h"

namespace folio {
namespace {

std::string text_of(const std::vector<char32_t>& characters, size_t first, size_t count) {
  std::string text;
  for (size_t i = first; i < first + count; ++i) append_utf8(text, characters[i]);
  return text;
}

/// By trying every pair of places, in whole characters. O(n m length).
VerbatimSpan reference(std::string_view text, std::string_view sample) {
  const std::vector<char32_t> a = decode_utf8(text, "text"), b = decode_utf8(sample, "sample");
  VerbatimSpan best;
  for (size_t i = 0; i < a.size(); ++i) {
    for (size_t j = 0; j < b.size(); ++j) {
      size_t n = 0;
      while (i + n < a.size() && j + n < b.size() && a[i + n] == b[j + n]) ++n;
      const auto length = static_cast<int64_t>(text_of(a, i, n).size());
      if (length > best.length) {
        best = {length, static_cast<int64_t>(text_of(a, 0, i).size()),
                static_cast<int64_t>(text_of(b, 0, j).size())};
      }
    }
  }
  return best;
}

void expect_same(const VerbatimSpan& seen, const VerbatimSpan& wanted) {
  EXPECT_EQ(seen.length, wanted.length);
  EXPECT_EQ(seen.text_offset, wanted.text_offset);
  EXPECT_EQ(seen.sample_offset, wanted.sample_offset);
}

TEST(Novelty, FindsASpanAndItsPlaces) {
  expect_same(longest_verbatim_span("to be or not to be", "I say or not!"), {7, 5, 5});
  expect_same(longest_verbatim_span("abc", "abc"), {3, 0, 0});
  expect_same(longest_verbatim_span("abcabc", "xbc"), {2, 1, 1});  // the first of two
}

TEST(Novelty, OfNothingIsNothing) {
  expect_same(longest_verbatim_span("", "abc"), {});
  expect_same(longest_verbatim_span("abc", ""), {});
  expect_same(longest_verbatim_span("abc", "xyz"), {});
}

TEST(Novelty, CutsNoCharacter) {
  // é and è share their first byte, € and ₭ their first two.
  expect_same(longest_verbatim_span("aé", "aè"), {1, 0, 0});
  expect_same(longest_verbatim_span("€", "₭"), {});
  expect_same(longest_verbatim_span("©b", "éb"), {1, 2, 2});  // they share their last byte
}

TEST(Novelty, IsWhatTryingEveryPairOfPlacesFinds) {
  const std::vector<std::u32string> alphabets = {U"ab", U"abcdefgh\n ", U"aéè©€₭\U0001F600"};
  const RandomStream stream{.seed = 1, .purpose = purpose_of("novelty test"), .step = 0};
  uint64_t next = 0;
  const auto draw = [&](const std::u32string& alphabet, uint64_t length) {
    std::string text;
    for (uint64_t i = 0; i < length; ++i) {
      append_utf8(text, alphabet[stream.below(alphabet.size(), next++)]);
    }
    return text;
  };
  for (const std::u32string& alphabet : alphabets) {
    for (int trial = 0; trial < 60; ++trial) {
      const std::string text = draw(alphabet, stream.below(120, next++));
      const std::string sample = draw(alphabet, stream.below(60, next++));
      SCOPED_TRACE("text: " + text + " sample: " + sample);
      expect_same(longest_verbatim_span(text, sample), reference(text, sample));
      if (HasFailure()) return;
    }
  }
}

TEST(Novelty, ReadsRepetitionInLinearTime) {
  const std::string text(300'000, 'a'), sample(20'000, 'a');
  expect_same(longest_verbatim_span(text, sample), {20'000, 0, 0});
}

TEST(Novelty, TheTrainingTextIsTheFilesBeginning) {
  const TemporaryDirectory directory;
  const std::filesystem::path path = directory.path() / "text.txt";
  std::string text;
  for (int i = 0; i < 40; ++i) text += "é€ab";
  write_file(path, text);
  Config config =
      tiny_config(path, {"data.validation_fraction=0.25", "data.unknown_character=replace"});
  write_file(directory.path() / "text.json", to_json(identify_text(path.string())));
  // Without é, which is then replaced by a character of another length.
  const auto tokenizer = CharTokenizer::build("ab€", UnknownCharacter::replace, "text");
  EXPECT_EQ(read_training_text(directory.path(), config, *tokenizer), text.substr(0, 30 * 7));
}

TEST(Novelty, DescribesTheSpanInOneLine) {
  const std::string sample = "so \"it\nis\"";
  EXPECT_EQ(describe(longest_verbatim_span("x \"it\nis", sample), sample),
            "the longest span that is in the training text: 7 of 10 bytes, at byte 1: "
            "\" \\\"it\\nis\"");
  EXPECT_EQ(describe({}, sample), "no part of it is in the training text");
}

}  // namespace
}  // namespace folio
