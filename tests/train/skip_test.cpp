// Steps whose update is refused: what they leave alone, what is written, and how many there may be.
#include <fmt/core.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <filesystem>
#include <iterator>
#include <limits>
#include <string>
#include <vector>

#include "folio/io/checksum.h"
#include "folio/run/checkpoint_state.h"
#include "folio/train/trainer.h"
#include "support/refusing_run.h"
#include "support/tiny_checkpoint.h"

namespace folio {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class SkipTest : public RefusingRun {
 protected:
  static constexpr float infinity = std::numeric_limits<float>::infinity();

  /// The bytes of weights and moments.
  static std::string bytes_of(Trainer& trainer) {
    std::string all;
    const auto append = [&](const Tensor& slab) {
      all.append(static_cast<const char*>(slab.raw()), static_cast<size_t>(slab.bytes()));
    };
    append(trainer.parameters().values());
    for (const OptimizerState& state : trainer.optimizer().state()) append(state.slab);
    return all;
  }
};

TEST_F(SkipTest, ARefusedStepLeavesEveryBitAndCounts) {
  Trainer trainer(config()), untouched(config());
  for (int step = 0; step < 3; ++step) {
    trainer.step();
    untouched.step();
  }
  float* weight = trainer.parameters().find("blocks.1.feed_forward.up.weight").value.data<float>();
  const float good = weight[5];
  weight[5] = infinity;
  const std::string before = bytes_of(trainer);
  const StepResult refused = trainer.step();
  EXPECT_EQ(refused.refusal, Refusal::not_finite);
  EXPECT_THAT(refused.reason, AllOf(HasSubstr("the loss is nan"), HasSubstr("norm nan")));
  EXPECT_EQ(bytes_of(trainer), before);
  EXPECT_EQ(refused.step, 4);
  EXPECT_EQ(trainer.steps_done(), 4);
  // Mended, the next step is the one of a trainer that came here with these weights: nothing of
  // the refused step's gradients is left.
  weight[5] = good;
  untouched.set_steps_done(4);
  EXPECT_EQ(trainer.step().refusal, Refusal::none);
  untouched.step();
  EXPECT_EQ(bytes_of(trainer), bytes_of(untouched));
}

TEST_F(SkipTest, ABadGradientNormAloneIsEnough) {
  Trainer trainer(config());
  break_backward_pass(trainer);
  const std::string before = bytes_of(trainer);
  const StepResult refused = trainer.step();
  EXPECT_TRUE(std::isfinite(refused.loss)) << refused.loss;
  EXPECT_FALSE(std::isfinite(refused.gradient_norm));
  EXPECT_EQ(refused.refusal, Refusal::not_finite);
  EXPECT_EQ(bytes_of(trainer), before);
}

TEST_F(SkipTest, SkipsAndResumesBitForBit) {
  break_rare_character("whole", {"train.on_non_finite=skip", "train.max_skips=20"});
  fs::copy(path("whole"), path("parts"), fs::copy_options::recursive);
  const std::string said = train_into("whole", {.resume = true});
  EXPECT_EQ(error_, "");
  const std::vector<int64_t> skipped = skipped_steps("whole");
  ASSERT_GE(skipped.size(), 2u);
  ASSERT_LE(skipped.size(), 12u) << "most steps are good ones";
  EXPECT_THAT(said,
              HasSubstr("skipped: the loss is nan and the gradient norm nan (1 of at most 20"));
  for (const nlohmann::json& line : metrics_of("whole")) {
    if (!line.contains("skipped")) continue;
    EXPECT_TRUE(line["train_loss"].is_null());
    EXPECT_TRUE(line["grad_norm"].is_null());
    EXPECT_EQ(line["skipped"], "the loss is nan and the gradient norm nan");
    EXPECT_GT(line["lr"], 0.0);
  }
  const Progress progress = read_progress(path("whole/checkpoints/step_20"));
  EXPECT_EQ(progress.skips, std::ssize(skipped));
  EXPECT_FALSE(fs::exists(path("whole/blackbox")));

  // Stopped right after the first skip, and again later.
  train_into("parts", {.resume = true, .stop_at = skipped[0]});
  EXPECT_EQ(read_progress(path("parts/checkpoints") / ("step_" + std::to_string(skipped[0]))).skips,
            1);
  train_into("parts", {.resume = true, .stop_at = skipped[1]});
  train_into("parts", {.resume = true});
  EXPECT_EQ(contents_of(path("parts/checkpoints/step_20")),
            contents_of(path("whole/checkpoints/step_20")));
  EXPECT_EQ(metrics_of("parts"), metrics_of("whole"));
}

TEST_F(SkipTest, TheBoundHoldsOverTheWholeRun) {
  break_rare_character("run", {"train.on_non_finite=skip", "train.max_skips=20"});
  fs::copy(path("run"), path("bounded"), fs::copy_options::recursive);
  train_into("run", {.resume = true});
  const std::vector<int64_t> skipped = skipped_steps("run");
  ASSERT_GE(skipped.size(), 2u);
  // One skip before the stop, none left after it.
  const std::vector<std::string> one = {"train.max_skips=1"};
  train_into("bounded", {.overrides = one, .resume = true, .stop_at = skipped[1] - 1});
  EXPECT_EQ(error_, "");
  train_into("bounded", {.resume = true});
  EXPECT_THAT(error_, AllOf(HasSubstr("at step " + std::to_string(skipped[1])),
                            HasSubstr("embedding in token_embedding")));
  EXPECT_TRUE(fs::exists(path("bounded/blackbox") / ("step_" + std::to_string(skipped[1]))));
  EXPECT_THAT(skipped_steps("bounded"), ElementsAre(skipped[0]));
}

TEST_F(SkipTest, TheSpikeGuardSkipsAndResumesBitForBit) {
  const std::vector<std::string> guard = {"train.spike_guard=1", "train.spike_window=4",
                                          "train.checkpoint_every=10", "train.max_skips=20"};
  const std::string said = train_into("whole", {.overrides = guard});
  const std::vector<int64_t> skipped = skipped_steps("whole");
  ASSERT_GE(skipped.size(), 2u);
  EXPECT_GT(skipped[0], 4) << "the window fills first";
  EXPECT_THAT(said, HasSubstr("a spike of z-score"));
  for (const nlohmann::json& line : metrics_of("whole")) {
    if (!line.contains("skipped")) continue;
    EXPECT_GT(line["grad_norm"], 0.0);
  }
  for (const int64_t stop : {skipped[0] - 1, skipped[0], skipped[1]}) {
    train_into("parts", {.overrides = guard, .stop_at = stop});
    const Progress progress =
        read_progress(path("parts/checkpoints") / ("step_" + std::to_string(stop)));
    EXPECT_EQ(progress.accepted_norms.size(), 4u);
    train_into("parts", {.resume = true});
    EXPECT_EQ(contents_of(path("parts/checkpoints/step_20")),
              contents_of(path("whole/checkpoints/step_20")));
    EXPECT_EQ(metrics_of("parts"), metrics_of("whole"));
    fs::remove_all(path("parts"));
  }
}

TEST(Skips, CheckpointsOfBeforeThereWereAnyCanBeRead) {
  CheckpointState state;
  state.progress = {.step = 7, .skips = 3, .accepted_norms = {1.5, 0.1}};
  std::string text = to_json(state);
  const Progress whole = state_from_json(text, "state.json").progress;
  EXPECT_EQ(whole.skips, 3);
  EXPECT_THAT(whole.accepted_norms, ElementsAre(1.5, 0.1));
  // As it was: without the two members, and with the checksum of that.
  const size_t begin = text.find("  \"skips\""), end = text.find("  \"tokenizer_hash\"");
  text.erase(begin, end - begin);
  text.resize(text.find(",\n  \"checksum\""));
  text += fmt::format(",\n  \"checksum\": \"{:016x}\"\n}}\n", checksum_of(text));
  const Progress old = state_from_json(text, "state.json").progress;
  EXPECT_EQ(old.step, 7);
  EXPECT_EQ(old.skips, 0);
  EXPECT_TRUE(old.accepted_norms.empty());
}

TEST_F(SkipTest, TooManySpikesEndTheRun) {
  train_into("run",
             {.overrides = {"train.spike_guard=1", "train.spike_window=4", "train.max_skips=1"}});
  EXPECT_THAT(error_, AllOf(HasSubstr("a spike of z-score"),
                            HasSubstr("train.max_skips allows only 1"), HasSubstr("--resume")));
  EXPECT_FALSE(fs::exists(path("run/blackbox")));
  EXPECT_EQ(skipped_steps("run").size(), 1u);
}

TEST_F(SkipTest, AGuardThatNothingPassesChangesNothing) {
  const std::vector<std::string> keep = {"train.checkpoint_every=20"};
  train_into("plain", {.overrides = keep});
  train_into("guarded", {.overrides = {keep[0], "train.spike_guard=1000"}});
  EXPECT_THAT(skipped_steps("guarded"), IsEmpty());
  EXPECT_EQ(metrics_of("plain"), metrics_of("guarded"));
  EXPECT_EQ(read_text(path("plain/checkpoints/step_20/model.safetensors")),
            read_text(path("guarded/checkpoints/step_20/model.safetensors")));
}

}  // namespace
}  // namespace folio
