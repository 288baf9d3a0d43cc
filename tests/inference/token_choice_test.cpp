#include "folio/inference/token_choice.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <numeric>
#include <vector>

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
    result[TokenChooser(options).choose(values, stream.uniform(i))] += 1.0;
  }
  for (double& count : result) count /= draws;
  return result;
}

TEST(ChooseToken, GreedyTakesTheFirstOfEquals) {
  for (double uniform : {0.0, 0.3, 0.999999}) {
    EXPECT_EQ(TokenChooser({.temperature = 0.0}).choose(logits, uniform), 1);
  }
}

TEST(ChooseToken, TopKOneIsGreedy) {
  for (double uniform : {0.0, 0.5, 0.999999}) {
    EXPECT_EQ(TokenChooser({.temperature = 3.0, .top_k = 1}).choose(logits, uniform), 1);
  }
}

TEST(ChooseToken, TinyTopPIsGreedy) {
  for (double uniform : {0.0, 0.5, 0.999999}) {
    EXPECT_EQ(TokenChooser({.temperature = 3.0, .top_p = 1e-9}).choose(logits, uniform), 1);
  }
}

TEST(ChooseToken, TinyTemperatureIsGreedy) {
  const std::vector<float> values = {1e30f, -1e30f, 0.0f};
  EXPECT_EQ(TokenChooser({.temperature = 1e-300}).choose(values, 0.9), 0);
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
    return error_of([&] { TokenChooser(options).choose(logits, uniform); });
  };
  EXPECT_THAT(message({.temperature = -1.0}), HasSubstr("the temperature is -1"));
  EXPECT_THAT(message({.temperature = std::nan("")}), HasSubstr("the temperature is nan"));
  EXPECT_THAT(message({.top_k = -2}), HasSubstr("top_k is -2"));
  EXPECT_THAT(message({.top_p = 0.0}), HasSubstr("top_p is 0"));
  EXPECT_THAT(message({.top_p = 1.5}), HasSubstr("top_p is 1.5"));
  EXPECT_THAT(message({}, 1.0), HasSubstr("the random number is 1"));
  const std::vector<float> broken = {0.0f, std::numeric_limits<float>::quiet_NaN()};
  EXPECT_THAT(error_of([&] { TokenChooser({}).choose(broken, 0.5); }), HasSubstr("token 1 is nan"));
}

/// The definition, by sorting everything.
int32_t reference(const std::vector<float>& logits, const SamplingOptions& options,
                  double uniform) {
  const float largest = *std::max_element(logits.begin(), logits.end());
  const auto weight = [&](int32_t token) {
    const double exponent = (double{logits[token]} - double{largest}) / options.temperature;
    return double{std::exp(static_cast<float>(exponent))};
  };
  std::vector<int32_t> kept(logits.size());
  std::iota(kept.begin(), kept.end(), 0);
  std::stable_sort(kept.begin(), kept.end(),
                   [&](int32_t a, int32_t b) { return logits[a] > logits[b]; });
  if (options.top_k > 0) kept.resize(std::min<size_t>(kept.size(), options.top_k));
  double total = 0.0, reached = 0.0;
  for (int32_t token : kept) total += weight(token);
  size_t count = 0;
  while (count < kept.size() && reached < options.top_p * total) reached += weight(kept[count++]);
  kept.resize(count);
  std::sort(kept.begin(), kept.end());
  total = 0.0;
  for (int32_t token : kept) total += weight(token);
  double passed = 0.0;
  for (int32_t token : kept) {
    passed += weight(token);
    if (passed > uniform * total) return token;
  }
  return kept.back();
}

TEST(ChooseToken, IsWhatSortingEverythingFinds) {
  const RandomStream stream{.seed = 3, .purpose = purpose_of("token choice test"), .step = 0};
  uint64_t next = 0;
  for (const size_t classes : {1, 2, 65, 700}) {
    for (const int64_t top_k : {0, 1, 2, 40, 600, 1000}) {
      for (const double top_p : {1.0, 0.9, 0.5, 0.01}) {
        const SamplingOptions options{.temperature = 0.7, .top_k = top_k, .top_p = top_p};
        TokenChooser chooser(options);
        for (int trial = 0; trial < 10; ++trial) {
          std::vector<float> values(classes);
          // Many equal ones among them.
          for (float& value : values)
            value = std::round(8.0f * float(stream.normal(next++))) / 4.0f;
          const double uniform = stream.uniform(next++);
          ASSERT_EQ(chooser.choose(values, uniform), reference(values, options, uniform))
              << classes << " classes, top_k " << top_k << ", top_p " << top_p;
        }
      }
    }
  }
}

}  // namespace
}  // namespace folio
