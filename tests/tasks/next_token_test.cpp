// Language modelling as a task: data, targets, loss, measure.
#include "folio/tasks/next_token.h"

#include <fmt/core.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "folio/autograd/ops.h"
#include "folio/models/gpt.h"
#include "support/gradcheck.h"
#include "support/temporary.h"

namespace folio {
namespace {

using testing::Each;
using testing::ElementsAre;

constexpr int64_t context = 6, classes = 11;

/// Four samples, of whose 24 targets 17 count, of the last sample one.
Batch batch_of_four() {
  const Tensor tokens = random_indices({4, context}, 1, classes);
  const Tensor targets = random_indices({4, context}, 2, classes);
  for (const int64_t i : {0, 9, 18, 19, 20, 22, 23}) {
    targets.data<int32_t>()[i] = ignored_target;
  }
  return {{{"tokens", tokens}, {"targets", targets}}};
}

class NextTokenTest : public testing::Test {
 protected:
  NextTokenTest() {
    store.initialize(3);
    randomize(store, 4, 0.5);
    tape.set_training(true);
  }

  std::unique_ptr<Task> task_with(double label_smoothing) const {
    return NextTokenOptions{}.make(
        {.data = {}, .context = context, .batch = 4, .label_smoothing = label_smoothing});
  }

  ParameterStore store{DType::f64};
  Gpt model{Scope(store),
            {.vocabulary = classes,
             .layers = 1,
             .heads = 2,
             .width = 8,
             .context = context,
             .dropout = 0.2}};
  Tape tape;
};

TEST_F(NextTokenTest, CountsTargetsAndTokens) {
  const auto task = task_with(0.0);
  const Batch batch = batch_of_four();
  EXPECT_EQ(task->targets(batch), 17);
  EXPECT_EQ(task->targets(batch.part(0, 1)), 5);
  EXPECT_EQ(task->targets(batch.part(3, 1)), 1);
  EXPECT_EQ(task->tokens(batch), 24);
  const Batch none{{{"targets", Tensor::from<int32_t>({1, 3}, {-1, -1, -1})}}};
  EXPECT_EQ(task->targets(none), 0);
}

TEST_F(NextTokenTest, TheLossIsTheMeanOverTheTargetsThatCount) {
  tape.set_training(false);
  const Batch batch = batch_of_four();
  const std::vector<double> logits = values_of(model.logits(tape, batch["tokens"]).value);
  const std::vector<int32_t> targets = batch["targets"].to_vector<int32_t>();
  for (const double smoothing : {0.0, 0.1}) {
    double sum = 0.0;
    for (size_t i = 0; i < targets.size(); ++i) {
      if (targets[i] == ignored_target) continue;
      double total = 0.0, mean = 0.0;
      for (int64_t c = 0; c < classes; ++c) {
        total += std::exp(logits[i * classes + c]);
        mean += logits[i * classes + c] / classes;
      }
      const double log_total = std::log(total);
      sum += (1.0 - smoothing) * (log_total - logits[i * classes + targets[i]]) +
             smoothing * (log_total - mean);
    }
    const Variable loss = task_with(smoothing)->loss(tape, model, batch, 17);
    EXPECT_EQ(loss.value.numel(), 1);
    EXPECT_NEAR(loss.value.item(), sum / 17.0, 1e-12) << smoothing;
  }
}

TEST_F(NextTokenTest, MicroBatchesMakeUpTheStep) {
  const auto task = task_with(0.1);
  const Batch batch = batch_of_four();
  const int64_t targets = task->targets(batch);
  const auto step = [&](const std::vector<int64_t>& sizes) {
    store.start_gradients();
    double sum = 0.0;
    int64_t first = 0;
    for (const int64_t size : sizes) {
      tape.set_context({.seed = 8, .step = 1, .first_sample = first});
      const Variable loss = task->loss(tape, model, batch.part(first, size), targets);
      sum += loss.value.item();
      tape.backward(loss);
      tape.clear();
      first += size;
    }
    store.finish_gradients();
    return std::pair(sum, values_of(store.gradients()));
  };
  const auto [whole, gradients] = step({4});
  for (const std::vector<int64_t>& sizes :
       {std::vector<int64_t>{2, 2}, {1, 1, 1, 1}, {3, 1}, {1, 3}}) {
    const auto [sum, parts] = step(sizes);
    EXPECT_NEAR(sum, whole, 1e-13);
    expect_close(parts, gradients, 1e-13, "gradients");
  }
}

TEST_F(NextTokenTest, MeasureAddsLossesAndTargetsWithoutSmoothing) {
  tape.set_training(false);
  const NoRecording no_recording(tape);
  const Batch batch = batch_of_four();
  Totals whole, parts, smoothed;
  task_with(0.0)->measure(tape, model, batch, whole);
  task_with(0.3)->measure(tape, model, batch, smoothed);
  for (int64_t i = 0; i < 4; ++i) task_with(0.0)->measure(tape, model, batch.part(i, 1), parts);
  EXPECT_EQ(whole.targets, 17);
  EXPECT_EQ(parts.targets, 17);
  EXPECT_NEAR(parts.sums["loss"], whole.sums["loss"], 1e-12);
  EXPECT_EQ(smoothed.sums["loss"], whole.sums["loss"]);
  EXPECT_NEAR(whole.sums["loss"] / 17.0, task_with(0.0)->loss(tape, model, batch, 17).value.item(),
              1e-12);
  // Where nothing counts, nothing is added.
  Batch padding = batch.part(0, 1);
  padding.tensors[1].tensor =
      Tensor::from({1, context}, std::vector<int32_t>(context, ignored_target));
  const Totals before = whole;
  task_with(0.0)->measure(tape, model, padding, whole);
  EXPECT_EQ(whole.sums["loss"], before.sums.at("loss"));
  EXPECT_EQ(whole.targets, before.targets);
}

TEST_F(NextTokenTest, ABlankBatchHasTheShapesOfAStep) {
  const auto task = task_with(0.0);
  const Batch blank = task->blank(5);
  EXPECT_EQ(blank.samples(), 5);
  for (const char* name : {"tokens", "targets"}) {
    EXPECT_EQ(blank[name].shape(), Shape({5, context}));
    EXPECT_THAT(blank[name].to_vector<int32_t>(), Each(0));
  }
  EXPECT_EQ(task->targets(blank), 5 * context);
}

/// A text of 40 bytes and 20 characters, three quarters of which train.
class NextTokenData : public testing::Test {
 protected:
  NextTokenData() {
    write_file(path, text());
    inputs.data.text = path.string();
    inputs.data.validation_fraction = 0.25;
  }
  static std::string text() {
    std::string text;
    for (int i = 0; i < 10; ++i) text += "\u00e9a";  // 3 bytes
    for (int i = 0; i < 10; ++i) text += "b";
    return text;
  }

  TemporaryDirectory directory;
  const std::filesystem::path path = directory.path() / "text.txt";
  TaskInputs inputs{.data = {}, .context = 4, .batch = 3, .seed = 5};
};

TEST_F(NextTokenData, BuildsTheTokenizerOrTakesTheCallers) {
  const auto task = NextTokenOptions{}.make(inputs);
  EXPECT_EQ(task->open(nullptr)->vocabulary(), 3);
  EXPECT_EQ(task->corpus().path, path);
  EXPECT_EQ(task->corpus().train().size(), 22u);
  EXPECT_EQ(task->corpus().validation().size(), 8u);
  const auto other = NextTokenOptions{}.make(inputs);
  auto tokenizer = CharTokenizer::build("zyba\u00e9", UnknownCharacter::error, "test");
  const std::string hash = tokenizer->hash();
  EXPECT_EQ(other->open(std::move(tokenizer))->hash(), hash);
  const auto third = NextTokenOptions{}.make(inputs);
  EXPECT_THAT(
      error_of([&] { third->open(CharTokenizer::build("ab", UnknownCharacter::error, "test")); }),
      testing::HasSubstr(path.string()));
}

TEST_F(NextTokenData, SourcesReadTheirSplits) {
  const auto task = NextTokenOptions{}.make(inputs);
  const auto tokenizer = task->open(nullptr);
  const auto train = task->source(Split::train), validation = task->source(Split::validation);
  ASSERT_TRUE(train && validation);
  EXPECT_EQ(train->windows(), 6);  // of 21 predicted tokens
  EXPECT_EQ(validation->windows(), 2);
  const Batch drawn = train->draw(7, 0, 3), again = train->draw(7, 1, 2);
  EXPECT_EQ(drawn["tokens"].shape(), Shape({3, 4}));
  EXPECT_EQ(drawn.part(1, 2)["targets"].to_vector<int32_t>(),
            again["targets"].to_vector<int32_t>());
  const Batch last = validation->window(1, 1);
  EXPECT_EQ(task->targets(last), 3);
  EXPECT_EQ(last["targets"].to_vector<int32_t>().back(), ignored_target);
  const int32_t b = tokenizer->encode("b", "test")[0];
  EXPECT_THAT(validation->window(0, 1)["targets"].to_vector<int32_t>(), Each(b));
}

TEST_F(NextTokenData, AnEmptySplitHasNoSource) {
  inputs.data.validation_fraction = 0.0;
  const auto task = NextTokenOptions{}.make(inputs);
  task->open(nullptr);
  EXPECT_EQ(task->source(Split::validation), nullptr);
  EXPECT_NE(task->source(Split::train), nullptr);
}

TEST_F(NextTokenData, TextBytesAreThoseThatArePredicted) {
  const auto task = NextTokenOptions{}.make(inputs);
  const auto tokenizer = task->open(nullptr);
  EXPECT_EQ(task->text_bytes(Split::train, *tokenizer), 30);      // 32 without the first, an é
  EXPECT_EQ(task->text_bytes(Split::validation, *tokenizer), 7);  // 8 letters without the first
}

TEST_F(NextTokenData, RandomTokensAreNoText) {
  inputs.data.text = inputs.data.tokenizer = "synthetic";
  const auto task = NextTokenOptions{}.make(inputs);
  const auto tokenizer = task->open(nullptr);
  EXPECT_EQ(task->text_bytes(Split::validation, *tokenizer), std::nullopt);
}

TEST_F(NextTokenData, ASampleAsTextEndsWithItsLastTarget) {
  const auto task = NextTokenOptions{}.make(inputs);
  const auto tokenizer = task->open(nullptr);
  const Batch batch = task->source(Split::train)->window(0, 6);
  EXPECT_EQ(task->sample_text(batch, 0, *tokenizer), "\u00e9a\u00e9a\u00e9");
  EXPECT_EQ(task->sample_text(batch, 4, *tokenizer), "\u00e9a\u00e9ab");
}

TEST(Tasks, TheFirstIsTheDefault) {
  ASSERT_FALSE(tasks().empty());
  EXPECT_EQ(tasks().front().name, "next_token");
  EXPECT_EQ(TaskConfig().kind.name(), "next_token");
}

}  // namespace
}  // namespace folio
