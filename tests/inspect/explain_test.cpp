#include "folio/inspect/explain.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <iterator>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "folio/autograd/observer.h"
#include "folio/autograd/ops.h"
#include "folio/layers/attention.h"
#include "folio/layers/embedding.h"
#include "folio/models/gpt.h"
#include "folio/report/explain_page.h"
#include "folio/tensor/error.h"
#include "support/temporary.h"

namespace folio {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

class Explain : public ::testing::Test {
 protected:
  Explain() { parameters_.initialize(/*seed=*/7); }

  std::unique_ptr<CharTokenizer> tokenizer_ =
      CharTokenizer::build("<>&\" abcdefgh\n", UnknownCharacter::error, "test");
  ParameterStore parameters_;
  Gpt model_{Scope(parameters_), GptConfig{.vocabulary = tokenizer_->vocabulary(),
                                           .layers = 2,
                                           .heads = 2,
                                           .width = 16,
                                           .context = 12}};
};

/// Keeps what each attention op read and made.
class Recorder : public TapeObserver {
 public:
  void after_forward(const char* op, std::span<const Variable> inputs,
                     std::span<const Variable> outputs) override {
    if (std::string_view(op) != "attention") return;
    qkv.push_back(inputs.front().value.to_vector<float>());
    output.push_back(outputs.front().value.to_vector<float>());
  }
  std::vector<std::vector<float>> qkv, output;
};

TEST_F(Explain, MapsTimesValuesAreWhatTheFusedKernelMakes) {
  const std::string prompt = "abc def";
  const Explanation explanation = explain(model_, *tokenizer_, prompt, 1.0);
  const auto length = static_cast<int64_t>(prompt.size());
  Tape tape;
  const NoRecording no_recording(tape);
  Recorder recorder;
  tape.set_observer(&recorder);
  const Tensor input = Tensor::from({1, length}, tokenizer_->encode(prompt, "test"));
  model_.logits(tape, input);
  ASSERT_EQ(recorder.output.size(), 2u);
  ASSERT_EQ(explanation.maps.size(), 4u);
  constexpr int64_t width = 16, head_dim = 8;
  for (const AttentionMap& map : explanation.maps) {
    for (int64_t i = 0; i < length; ++i) {
      double sum = 0.0;
      for (int64_t j = 0; j < length; ++j) {
        const float p = map.probabilities[i * length + j];
        sum += p;
        if (j > i) {
          EXPECT_EQ(p, 0.0f);
        }
      }
      EXPECT_NEAR(sum, 1.0, 1e-6);
      for (int64_t d = 0; d < head_dim; ++d) {
        double y = 0.0;
        for (int64_t j = 0; j <= i; ++j) {
          y += map.probabilities[i * length + j] *
               recorder.qkv[map.layer][j * 3 * width + 2 * width + map.head * head_dim + d];
        }
        EXPECT_NEAR(y, recorder.output[map.layer][i * width + map.head * head_dim + d], 1e-6);
      }
    }
  }
}

/// Self-attention that does not see the second position, then attention to a memory that is as long
/// as the prompt.
class MaskedModel : public LanguageModel {
 public:
  MaskedModel(const Scope& scope, int64_t vocabulary)
      : LanguageModel(scope),
        embedding_(scope / "embedding", vocabulary, 4, Init::normal(1.0)),
        self_(scope / "self", {.width = 4, .heads = 1, .causal = false}),
        cross_(scope / "cross", {.width = 4, .heads = 1}) {}
  int64_t vocabulary() const override { return embedding_.weight->shape[0]; }
  int64_t context() const override { return 0; }
  Variable hidden(Tape& tape, const Batch& batch) const override {
    const Variable x = embedding_(tape, batch["tokens"]);
    const Variable y = self_(tape, x, Tensor::from({1, 3}, std::vector<int32_t>{1, 0, 1}));
    return cross_(tape, y, cross_.keys_values(tape, x));
  }
  Variable logits(Tape& tape, const Variable& hidden) const override {
    return linear(tape, hidden, embedding_.weight->variable());
  }
  DecoderState begin(const Batch&, int64_t) const override { return {}; }
  Variable next(Tape&, const Tensor&, DecoderState&) const override { return {}; }

 private:
  Embedding embedding_;
  SelfAttention self_;
  CrossAttention cross_;
};

TEST_F(Explain, MapsAreOfSelfAttentionAndHideMaskedPositions) {
  ParameterStore parameters;
  const MaskedModel model(Scope(parameters), tokenizer_->vocabulary());
  parameters.initialize(/*seed=*/7);
  const Explanation explanation = explain(model, *tokenizer_, "abc", 1.0);
  ASSERT_EQ(explanation.maps.size(), 1u);
  const std::vector<float>& map = explanation.maps[0].probabilities;
  for (int64_t i = 0; i < 3; ++i) {
    EXPECT_EQ(map[i * 3 + 1], 0.0f);
    EXPECT_NEAR(map[i * 3] + map[i * 3 + 2], 1.0, 1e-6);
    EXPECT_GT(map[i * 3 + 2], 0.0f);  // later positions are seen
  }
}

TEST_F(Explain, ProbabilitiesBeforeAndAfterTheTemperature) {
  const Explanation plain = explain(model_, *tokenizer_, "abcd", 1.0, 100);
  const Explanation sharp = explain(model_, *tokenizer_, "abcd", 0.5, 100);
  const Explanation greedy = explain(model_, *tokenizer_, "abcd", 0.0, 100);
  ASSERT_EQ(plain.expected.size(), 4u);
  ASSERT_EQ(plain.came.size(), 3u);
  EXPECT_EQ(plain.came[0].text, "b");
  for (size_t i = 0; i < 4; ++i) {
    ASSERT_EQ(std::ssize(plain.expected[i]), tokenizer_->vocabulary());
    double sum = 0.0, sharpened = 0.0;
    for (const ExpectedToken& token : plain.expected[i]) {
      EXPECT_EQ(token.probability, token.sampled_probability);
      sum += token.probability;
      sharpened += token.probability * token.probability;
    }
    EXPECT_NEAR(sum, 1.0, 1e-12);
    for (const ExpectedToken& token : sharp.expected[i]) {  // a half squares, up to the sum
      EXPECT_NEAR(token.sampled_probability, token.probability * token.probability / sharpened,
                  1e-9);
    }
    EXPECT_EQ(greedy.expected[i][0].sampled_probability, 1.0);
    EXPECT_EQ(greedy.expected[i][1].sampled_probability, 0.0);
  }
}

TEST_F(Explain, SeesTheEndOfALongPrompt) {
  const Explanation explanation = explain(model_, *tokenizer_, std::string(20, 'a') + "b", 0.8);
  EXPECT_EQ(explanation.tokens.size(), 12u);
  EXPECT_EQ(explanation.tokens_left_out, 9);
  EXPECT_EQ(explanation.tokens.back(), "b");
}

TEST_F(Explain, RefusesWhatItCannotRead) {
  EXPECT_THAT(error_of([&] { explain(model_, *tokenizer_, "", 1.0); }), HasSubstr("empty"));
  EXPECT_THAT(error_of([&] { explain(model_, *tokenizer_, "xyz", 1.0); }), HasSubstr("--prompt"));
  EXPECT_THAT(error_of([&] { explain(model_, *tokenizer_, "a", -1.0); }), HasSubstr("temperature"));
  EXPECT_THAT(error_of([&] { explain(model_, *tokenizer_, "a", std::nan("")); }),
              HasSubstr("temperature"));
}

TEST_F(Explain, ThePageEscapesTokens) {
  const Explanation explanation = explain(model_, *tokenizer_, "<a>&\"\n b", 0.8);
  const std::string html = explanation_page(
      explanation, {.run = "<run>", .step = 3, .prompt = "<a>", .temperature = 0.8});
  EXPECT_THAT(html, AllOf(HasSubstr("&lt;run&gt;"), HasSubstr("id=\"layer-2-head-2\""),
                          Not(HasSubstr("<a>")), Not(HasSubstr("<run>")), HasSubstr("\u23CE")));
}

}  // namespace
}  // namespace folio
