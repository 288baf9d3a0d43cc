#include "folio/train/sampling.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "folio/tensor/random.h"
#include "support/temporary.h"

namespace folio {
namespace {

using ::testing::HasSubstr;

const std::vector<float> logits = {0.5f, 2.0f, -1.0f, 2.0f, 1.0f};

/// How often each token comes out of many draws.
std::vector<double> frequencies(const std::vector<float>& values, const SamplingOptions& options) {
  constexpr int draws = 20000;
  const RandomStream stream{.seed = 9, .purpose = purpose_of("test"), .step = 0};
  std::vector<double> result(values.size());
  for (int i = 0; i < draws; ++i) {
    result[choose_token(values, options, stream.uniform(i))] += 1.0;
  }
  for (double& count : result) count /= draws;
  return result;
}

TEST(ChooseToken, GreedyTakesTheFirstOfEquals) {
  for (double uniform : {0.0, 0.3, 0.999999}) {
    EXPECT_EQ(choose_token(logits, {.temperature = 0.0}, uniform), 1);
  }
}

TEST(ChooseToken, TopKOneIsGreedy) {
  for (double uniform : {0.0, 0.5, 0.999999}) {
    EXPECT_EQ(choose_token(logits, {.temperature = 3.0, .top_k = 1}, uniform), 1);
  }
}

TEST(ChooseToken, TinyTopPIsGreedy) {
  for (double uniform : {0.0, 0.5, 0.999999}) {
    EXPECT_EQ(choose_token(logits, {.temperature = 3.0, .top_p = 1e-9}, uniform), 1);
  }
}

TEST(ChooseToken, TinyTemperatureIsGreedy) {
  const std::vector<float> values = {1e30f, -1e30f, 0.0f};
  EXPECT_EQ(choose_token(values, {.temperature = 1e-300}, 0.9), 0);
}

TEST(ChooseToken, FrequenciesFollowTheSoftmax) {
  const double temperature = 0.7;
  const std::vector<double> seen = frequencies(logits, {.temperature = temperature});
  double total = 0.0;
  for (float logit : logits) total += std::exp(logit / temperature);
  for (size_t i = 0; i < logits.size(); ++i) {
    EXPECT_NEAR(seen[i], std::exp(logits[i] / temperature) / total, 0.015) << "token " << i;
  }
}

TEST(ChooseToken, TopKKeepsTheMostLikely) {
  const std::vector<double> seen = frequencies(logits, {.temperature = 1.0, .top_k = 3});
  EXPECT_EQ(seen[0], 0.0);
  EXPECT_EQ(seen[2], 0.0);
  const double total = 2.0 * std::exp(2.0) + std::exp(1.0);
  EXPECT_NEAR(seen[1], std::exp(2.0) / total, 0.015);
  EXPECT_NEAR(seen[4], std::exp(1.0) / total, 0.015);
}

TEST(ChooseToken, TopKBreaksTiesTowardsTheLowerToken) {
  const std::vector<float> equal(6, 1.0f);
  const std::vector<double> seen = frequencies(equal, {.temperature = 1.0, .top_k = 2});
  EXPECT_NEAR(seen[0], 0.5, 0.015);
  EXPECT_NEAR(seen[1], 0.5, 0.015);
}

TEST(ChooseToken, TopPKeepsTheSmallestSetThatReachesP) {
  // Probabilities 0.5, 0.3, 0.15, 0.05.
  const std::vector<float> values = {std::log(0.05f), std::log(0.5f), std::log(0.15f),
                                     std::log(0.3f)};
  const std::vector<double> seen = frequencies(values, {.temperature = 1.0, .top_p = 0.75});
  EXPECT_EQ(seen[0], 0.0);
  EXPECT_EQ(seen[2], 0.0);
  EXPECT_NEAR(seen[1], 0.5 / 0.8, 0.015);
  EXPECT_NEAR(seen[3], 0.3 / 0.8, 0.015);
}

TEST(ChooseToken, TopPCountsWhatTopKLeft) {
  // Of the two that top-k leaves, the first alone has 0.5 / 0.8 = 0.625 of the probability.
  const std::vector<float> values = {std::log(0.05f), std::log(0.5f), std::log(0.15f),
                                     std::log(0.3f)};
  const std::vector<double> seen =
      frequencies(values, {.temperature = 1.0, .top_k = 2, .top_p = 0.6});
  EXPECT_EQ(seen[1], 1.0);
}

TEST(ChooseToken, TemperatureComesBeforeTopP) {
  // At temperature 0.1 the first token has all but e^-10 of the probability.
  const std::vector<float> values = {2.0f, 1.0f, 0.0f};
  const std::vector<double> seen = frequencies(values, {.temperature = 0.1, .top_p = 0.9});
  EXPECT_EQ(seen[0], 1.0);
}

TEST(ChooseToken, RefusesWhatIsImpossible) {
  const auto message = [](const SamplingOptions& options, double uniform = 0.5) {
    return error_of([&] { choose_token(logits, options, uniform); });
  };
  EXPECT_THAT(message({.temperature = -1.0}), HasSubstr("the temperature is -1"));
  EXPECT_THAT(message({.temperature = std::nan("")}), HasSubstr("the temperature is nan"));
  EXPECT_THAT(message({.top_k = -2}), HasSubstr("top_k is -2"));
  EXPECT_THAT(message({.top_p = 0.0}), HasSubstr("top_p is 0"));
  EXPECT_THAT(message({.top_p = 1.5}), HasSubstr("top_p is 1.5"));
  EXPECT_THAT(message({}, 1.0), HasSubstr("the random number is 1"));
  const std::vector<float> broken = {0.0f, std::numeric_limits<float>::quiet_NaN()};
  EXPECT_THAT(error_of([&] { choose_token(broken, {}, 0.5); }), HasSubstr("token 1 is nan"));
}

class Generate : public ::testing::Test {
 protected:
  Generate() { store_.initialize(3); }

  std::unique_ptr<CharTokenizer> tokenizer_ =
      CharTokenizer::build("abc\n\u00e9\u20ac ", UnknownCharacter::error, "text");
  ParameterStore store_;
  Gpt model_{Scope(store_), {.vocabulary = tokenizer_->vocabulary(), .layers = 1, .heads = 2,
                             .width = 8, .context = 20}};
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

TEST_F(Generate, ChoosesTheLikeliestNextToken) {
  // Longer than one padded window and not a power of two.
  const std::string prompt = "abc abc abc abc ab";
  Tape tape;
  const NoRecording no_recording(tape);
  const std::vector<int32_t> tokens = tokenizer_->encode(prompt, "prompt");
  const auto length = static_cast<int64_t>(tokens.size());
  const Variable all = model_.logits(tape, Tensor::from({1, length}, tokens));
  const std::vector<float> values = all.value.to_vector<float>();
  const int64_t classes = tokenizer_->vocabulary();
  const int32_t expected = choose_token(std::span(values).last(classes), {.temperature = 0.0}, 0.0);
  EXPECT_EQ(generate(model_, *tokenizer_, prompt, {.max_tokens = 1, .temperature = 0.0}),
            tokenizer_->decode(std::vector<int32_t>{expected}));
}

TEST_F(Generate, NamesACharacterThatIsUnknown) {
  EXPECT_THAT(error_of([&] { generate(model_, *tokenizer_, "abX", {}); }),
              ::testing::AllOf(HasSubstr("'X'"), HasSubstr("2")));
}

TEST_F(Generate, RefusesATokenizerOfAnotherModel) {
  const auto other = CharTokenizer::build("ab", UnknownCharacter::error, "text");
  EXPECT_THAT(error_of([&] { generate(model_, *other, "a", {}); }), HasSubstr("2 tokens"));
}

}  // namespace
}  // namespace folio
