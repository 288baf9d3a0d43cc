#include "folio/inference/generate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <iterator>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "folio/data/bpe_tokenizer.h"
#include "folio/io/utf8.h"
#include "folio/models/gpt.h"
#include "folio/tensor/random.h"
#include "support/gradcheck.h"
#include "support/temporary.h"

namespace folio {
namespace {

using ::testing::HasSubstr;

class Generate : public ::testing::Test {
 protected:
  Generate() { store_.initialize(3); }

  std::unique_ptr<CharTokenizer> tokenizer_ =
      CharTokenizer::build("abc\n\u00e9\u20ac ", UnknownCharacter::error, "text");
  ParameterStore store_;
  Gpt model_{
      Scope(store_),
      {.vocabulary = tokenizer_->vocabulary(), .layers = 1, .heads = 2, .width = 8, .context = 20}};
};

TEST_F(Generate, IsTheSameForTheSameSeed) {
  const SamplingOptions options{.max_tokens = 60, .temperature = 1.0, .seed = 4};
  const std::string first = generate(model_, *tokenizer_, "ab", options);
  EXPECT_EQ(first, generate(model_, *tokenizer_, "ab", options));
  SamplingOptions other = options;
  other.seed = 5;
  EXPECT_NE(first, generate(model_, *tokenizer_, "ab", other));
  EXPECT_EQ(tokenizer_->encode(first, "text").size(), 60u);
}

TEST_F(Generate, EmitsWholeCharactersThatMakeUpTheText) {
  std::string joined;
  int pieces = 0;
  const std::string text = generate(model_, *tokenizer_, "", {.max_tokens = 50, .temperature = 2.0},
                                    [&](std::string_view piece) {
                                      EXPECT_EQ(tokenizer_->encode(piece, "piece").size(), 1u);
                                      joined += piece;
                                      ++pieces;
                                    });
  EXPECT_EQ(joined, text);
  EXPECT_EQ(pieces, 50);
}

TEST(GenerateBytes, PiecesAreUtf8WhateverTheBytes) {
  // Of untrained byte pairs mostly bytes come that are no characters.
  const auto tokenizer = BpeTokenizer::learn({{"\u00e9\u20ac", 3}}, 262);
  ParameterStore store;
  const Gpt model(
      Scope(store),
      {.vocabulary = tokenizer->vocabulary(), .layers = 1, .heads = 2, .width = 8, .context = 20});
  store.initialize(3);
  std::string joined;
  const SamplingOptions options{.max_tokens = 300, .temperature = 2.0};
  const std::string text = generate(model, *tokenizer, "", options, [&](std::string_view piece) {
    decode_utf8(piece, "piece");
    joined += piece;
  });
  EXPECT_EQ(joined, text);
  EXPECT_THAT(text, HasSubstr("\uFFFD"));
  EXPECT_TRUE(std::ranges::any_of(decode_utf8(text, "text"), [](char32_t character) {
    return character >= 0x80 && character != 0xFFFD;  // of two tokens
  }));
  EXPECT_EQ(generate_samples(model, *tokenizer, "", options, 3).front(), text);
}

TEST_F(Generate, AShorterTextIsTheBeginningOfALongerOne) {
  const std::string shorter = generate(model_, *tokenizer_, "a", {.max_tokens = 10});
  const std::string longer = generate(model_, *tokenizer_, "a", {.max_tokens = 40});
  EXPECT_EQ(longer.substr(0, shorter.size()), shorter);
}

TEST_F(Generate, SeesTheLastContextTokensOnly) {
  const SamplingOptions options{.max_tokens = 5, .temperature = 0.0};
  const std::string tail(20, 'b');
  EXPECT_EQ(generate(model_, *tokenizer_, "aaaa" + tail, options),
            generate(model_, *tokenizer_, "cc" + tail, options));
}

TEST_F(Generate, EachOfSeveralSamplesIsTheSameInCompany) {
  const SamplingOptions options{.max_tokens = 60, .temperature = 1.0, .seed = 4};
  const std::vector<std::string> many = generate_samples(model_, *tokenizer_, "ab", options, 19);
  ASSERT_EQ(many.size(), 19u);
  EXPECT_EQ(many.front(), generate(model_, *tokenizer_, "ab", options));
  for (const int64_t count : {1, 2, 16}) {
    const std::vector<std::string> few =
        generate_samples(model_, *tokenizer_, "ab", options, count);
    EXPECT_EQ(few, std::vector(many.begin(), many.begin() + count)) << count;
  }
  for (size_t i = 0; i < many.size(); ++i) {
    for (size_t j = 0; j < i; ++j) EXPECT_NE(many[i], many[j]) << i << " and " << j;
  }
}

TEST_F(Generate, AsksTheSystemForNothingOnceUnderWay) {
  const auto allocations = [] { return allocator(Device::cpu).statistics().system_allocations; };
  const auto run = [&](int64_t tokens) {
    generate_samples(model_, *tokenizer_, "ab", {.max_tokens = tokens}, 2);
  };
  run(25);  // a full window and a new one
  const uint64_t before = allocations();
  run(200);
  EXPECT_EQ(allocations(), before);
}

TEST_F(Generate, NamesACharacterThatIsUnknown) {
  EXPECT_THAT(error_of([&] { generate(model_, *tokenizer_, "abX", {}); }),
              ::testing::AllOf(HasSubstr("'X'"), HasSubstr("2")));
}

TEST_F(Generate, RefusesATokenizerOfAnotherModel) {
  const auto other = CharTokenizer::build("ab", UnknownCharacter::error, "text");
  EXPECT_THAT(error_of([&] { generate(model_, *other, "a", {}); }), HasSubstr("2 tokens"));
}

/// The text by the definition: for each token everything in its window is computed again.
std::string uncached(const Gpt& model, const Tokenizer& tokenizer, std::string_view prompt,
                     const SamplingOptions& options) {
  const RandomStream stream{.seed = options.seed, .purpose = purpose_of("sampling"), .step = 0};
  const int64_t context = model.config().context, classes = model.config().vocabulary;
  std::vector<int32_t> tokens = tokenizer.encode(prompt, "prompt");
  tokens.erase(tokens.begin(), tokens.end() - std::min(std::ssize(tokens), context));
  Tape tape;
  const NoRecording no_recording(tape);
  std::string text;
  for (int64_t i = 0; i < options.max_tokens; ++i) {
    const int64_t length = window_length(std::ssize(tokens), context);
    const std::vector<int32_t> window(tokens.end() - length, tokens.end());
    const std::vector<float> logits =
        model.logits(tape, Tensor::from({1, length}, window)).value.to_vector<float>();
    tokens.push_back(
        TokenChooser(options).choose(std::span(logits).last(classes), stream.uniform(i)));
    text += tokenizer.decode(std::span(tokens).last(1));
  }
  return text;
}

TEST(GenerateCached, IsTokenForTokenWhatComputingAllAgainGives) {
  const auto tokenizer = CharTokenizer::build("abcdefghi\n ", UnknownCharacter::error, "text");
  for (int flags = 0; flags < 16; ++flags) {
    for (const int64_t context : {1, 2, 7, 20}) {
      const GptConfig config{
          .vocabulary = tokenizer->vocabulary(),
          .layers = 2,
          .heads = 2,
          .width = 16,
          .context = context,
          .dropout = 0.1,
          .bias = (flags & 1) != 0,
          .norm = (flags & 2) != 0 ? Norm::post : Norm::pre,
          .positions = (flags & 4) != 0 ? Positions::sinusoidal : Positions::learned,
          .tied = (flags & 8) != 0};
      ParameterStore store;
      const Gpt model(Scope(store), config);
      store.initialize(1);
      randomize(store, 1, 0.5);
      for (const double temperature : {0.0, 1.0}) {
        SCOPED_TRACE(testing::Message() << "flags " << flags << " context " << context
                                        << " temperature " << temperature);
        // Four new windows for the longest context; one prompt is longer than it.
        const SamplingOptions options{.max_tokens = 60, .temperature = temperature};
        for (const char* prompt : {"a", "abc abc abc abc abc abc abc"}) {
          const std::string text = generate(model, *tokenizer, prompt, options);
          EXPECT_EQ(text, uncached(model, *tokenizer, prompt, options));
        }
      }
    }
  }
}

TEST(WindowLength, GrowsToTheContextAndBeginsAnewWithHalf) {
  std::vector<int64_t> lengths;
  for (int64_t count = 1; count <= 13; ++count) lengths.push_back(window_length(count, 6));
  EXPECT_EQ(lengths, (std::vector<int64_t>{1, 2, 3, 4, 5, 6, 3, 4, 5, 6, 3, 4, 5}));
  EXPECT_EQ(window_length(9, 1), 1);
}

}  // namespace
}  // namespace folio
