#include "folio/train/evaluate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <memory>
#include <vector>

#include "folio/data/token_batches.h"
#include "folio/models/gpt.h"
#include "folio/tasks/next_token.h"
#include "folio/tensor/random.h"
#include "support/temporary.h"

namespace folio {
namespace {

constexpr int64_t context = 6, classes = 11;

/// The windows of a text of any length.
struct WholeText : DataSource {
  explicit WholeText(const std::vector<int32_t>& tokens) : all(tokens, context) {}
  Batch draw(int64_t, int64_t, int64_t) const override { return {}; }
  int64_t windows() const override { return all.count(); }
  Batch window(int64_t first, int64_t count) const override { return all.batch(first, count); }
  Windows all;
};

class Evaluate : public ::testing::Test {
 protected:
  Evaluate() {
    store_.initialize(8);
    // Weights of the usual size make every loss nearly log V; these do not.
    for (Parameter& parameter : store_.parameters()) {
      if (!parameter.decay) continue;
      for (int64_t i = 0; i < parameter.shape.numel(); ++i) parameter.value.data<float>()[i] *= 15;
    }
  }

  std::vector<int32_t> tokens(int64_t count) const {
    const RandomStream stream{.seed = 2, .purpose = purpose_of("test"), .step = 0};
    std::vector<int32_t> result;
    for (int64_t i = 0; i < count; ++i)
      result.push_back(static_cast<int32_t>(stream.below(classes, i)));
    return result;
  }

  /// Minus the logarithm of each predicted token's probability, one window at a time.
  std::vector<double> losses(const std::vector<int32_t>& text) {
    Tape tape;
    const NoRecording no_recording(tape);
    std::vector<double> result;
    for (size_t start = 0; start + 1 < text.size(); start += context) {
      const size_t length = std::min<size_t>(context, text.size() - 1 - start);
      const std::vector<int32_t> window(text.begin() + start, text.begin() + start + length);
      const Tensor input = Tensor::from({1, static_cast<int64_t>(length)}, window);
      const std::vector<float> logits = model_.logits(tape, input).value.to_vector<float>();
      for (size_t t = 0; t < length; ++t) {
        double total = 0.0;
        for (int64_t c = 0; c < classes; ++c) total += std::exp(double{logits[t * classes + c]});
        result.push_back(std::log(total) - logits[t * classes + text[start + t + 1]]);
      }
    }
    return result;
  }

  Evaluation evaluate_text(const std::vector<int32_t>& text, int64_t batch,
                           int64_t max_batches = 0) {
    return evaluate(*task_, model_, tape_, WholeText(text), batch, max_batches);
  }

  // Label smoothing is for training alone.
  std::unique_ptr<Task> task_ =
      NextTokenOptions{}.make({.data = {}, .context = context, .label_smoothing = 0.5});
  ParameterStore store_;
  Gpt model_{Scope(store_),
             {.vocabulary = classes,
              .layers = 1,
              .heads = 2,
              .width = 8,
              .context = context,
              .dropout = 0.5}};
  Tape tape_;
};

TEST_F(Evaluate, IsTheMeanOverAllPredictedTokens) {
  // Whole windows and batches, a ragged last window, a ragged last batch, less than one window.
  for (const int64_t count : {25, 24, 26, 40, 7, 5, 2}) {
    const std::vector<int32_t> text = tokens(count);
    const std::vector<double> each = losses(text);
    double sum = 0.0;
    for (double loss : each) sum += loss;
    for (const int64_t batch : {1, 2, 3, 100}) {
      const Evaluation result = evaluate_text(text, batch);
      EXPECT_EQ(result.targets, count - 1);
      EXPECT_NEAR(result.loss, sum / static_cast<double>(count - 1), 1e-5)
          << count << " tokens, batch " << batch;
      EXPECT_DOUBLE_EQ(result.perplexity(), std::exp(result.loss));
    }
  }
}

TEST_F(Evaluate, SpreadsAFewBatchesEvenly) {
  const std::vector<int32_t> text = tokens(6 * context + 1);  // six windows, three batches of two
  const std::vector<double> each = losses(text);
  double sum = 0.0;
  for (int64_t i = 0; i < 2 * context; ++i) sum += each[i] + each[2 * context + i];
  const Evaluation result = evaluate_text(text, 2, 2);  // batches 0 and 1
  EXPECT_EQ(result.targets, 4 * context);
  EXPECT_NEAR(result.loss, sum / (4.0 * context), 1e-5);
  EXPECT_EQ(evaluate_text(text, 2, 50).targets, 6 * context);
}

TEST_F(Evaluate, LeavesTheTapeAsItWas) {
  tape_.set_training(true);
  const std::vector<int32_t> text = tokens(20);
  const double first = evaluate_text(text, 2).loss;
  EXPECT_TRUE(tape_.training());
  EXPECT_TRUE(tape_.recording());
  EXPECT_EQ(tape_.size(), 0u);
  tape_.set_training(false);  // dropout was off already
  EXPECT_EQ(evaluate_text(text, 2).loss, first);
}

TEST_F(Evaluate, NeedsSomethingToPredict) {
  EXPECT_THAT(error_of([&] { evaluate_text(tokens(1), 2); }),
              ::testing::HasSubstr("the split has no targets; it needs at least 2 tokens"));
}

}  // namespace
}  // namespace folio
