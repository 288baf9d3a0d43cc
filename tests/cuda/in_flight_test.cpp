// Several training steps in flight at once: a run writes the same files as with one at a time.
#include <fmt/core.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <chrono>
#include <cstdint>
#include <deque>
#include <filesystem>
#include <iterator>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "folio/tensor/copy.h"
#include "support/refusing_run.h"
#include "support/run_fixture.h"

namespace folio {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

const std::vector<std::string> one = {"train.device=cuda", "train.steps_in_flight=1"};
const std::vector<std::string> five = {"train.device=cuda", "train.steps_in_flight=5"};

std::vector<std::string> with(std::vector<std::string> some, const std::vector<std::string>& more) {
  some.insert(some.end(), more.begin(), more.end());
  return some;
}

/// A checkpoint without the config in it, where the number in flight stands.
std::map<std::string, std::string> weights_and_moments(const fs::path& checkpoint) {
  auto files = files_in(checkpoint);
  std::erase_if(files, [](const auto& file) { return !file.first.ends_with(".safetensors"); });
  EXPECT_GE(files.size(), 2u) << checkpoint;
  return files;
}

class GpuRunInFlight : public RunTest {};

TEST_F(GpuRunInFlight, SameFilesAsWithOneStepInFlight) {
  // Something to pause for after steps 4, 5, 8, 10, 12, 15, 16 and 20.
  const std::vector<std::string> rest = {"train.checkpoint_every=4", "train.keep_last=0",
                                         "train.sample_at=[5]", "train.sample_tokens=9"};
  train_into("one", {.overrides = with(one, rest)});
  train_into("five", {.overrides = with(five, rest)});
  EXPECT_EQ(metrics_of(path("one")), metrics_of(path("five")));
  for (const char* step : {"step_4", "step_12", "step_20", "best"}) {
    const fs::path checkpoint = fs::path("checkpoints") / step;
    EXPECT_EQ(weights_and_moments(path("one") / checkpoint),
              weights_and_moments(path("five") / checkpoint));
  }
  EXPECT_EQ(files_in(path("one") / "samples"), files_in(path("five") / "samples"));
}

TEST_F(GpuRunInFlight, AStopInTheMiddleChangesNothing) {
  const std::vector<std::string> overrides =
      with(five, {"train.checkpoint_every=12", "train.eval_every=0", "train.steps=12"});
  train_into("whole", {.overrides = overrides});
  train_into("parts", {.overrides = overrides, .stop_at = 7});
  train_into("parts", {.resume = true});
  EXPECT_EQ(files_in(path("whole/checkpoints/step_12")),
            files_in(path("parts/checkpoints/step_12")));
  EXPECT_EQ(metrics_of(path("whole")), metrics_of(path("parts")));
}

TEST_F(GpuRunInFlight, ASignalLeavesARunThatCanResume) {
  const std::vector<std::string> overrides =  // far more steps than there is time for
      with(five, {"train.checkpoint_every=0", "train.eval_every=0", "train.steps=1000000"});
  const auto before = ::signal(SIGTERM, [](int) {});  // should it come when the run is over
  std::thread sender([&] {
    for (int i = 0; i < 60'000 && metrics_of(path("parts")).size() < 3; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    ::kill(::getpid(), SIGTERM);
  });
  train_into("parts", {.overrides = overrides});
  sender.join();
  ::signal(SIGTERM, before);
  const int64_t steps = std::ssize(metrics_of(path("parts")));
  EXPECT_GE(steps, 3);
  EXPECT_LT(steps, 1'000'000);
  EXPECT_TRUE(fs::exists(path("parts/checkpoints") / fmt::format("step_{}", steps)));
  const std::string last = fmt::format("checkpoints/step_{}", steps + 6);
  train_into("parts", {.resume = true, .stop_at = steps + 6});
  train_into("whole", {.overrides = overrides, .stop_at = steps + 6});
  EXPECT_EQ(files_in(path("whole") / last), files_in(path("parts") / last));
  EXPECT_EQ(metrics_of(path("whole")), metrics_of(path("parts")));
}

TEST_F(GpuRunInFlight, SpikeGuardAllowsOneStepInFlight) {
  const std::vector<std::string> guard = {"train.spike_guard=1", "train.spike_window=4",
                                          "train.max_skips=20", "train.checkpoint_every=20"};
  train_into("one", {.overrides = with(one, guard)});
  train_into("five", {.overrides = with(five, guard)});
  EXPECT_EQ(metrics_of(path("one")), metrics_of(path("five")));
  EXPECT_THAT(read_text(path("five/metrics.jsonl")), HasSubstr("skipped"));
}

class GpuRefusalInFlight : public RefusingRun {
 protected:
  /// Copies of a run that has a bad weight after step 2.
  void break_two(std::vector<std::string> overrides) {
    overrides.push_back("train.device=cpu");
    break_rare_character("one", overrides);
    fs::copy(path("one"), path("five"), fs::copy_options::recursive);
  }
  std::string resume(const std::string& run) {
    return train_into(run, {.overrides = run == "one" ? one : five, .resume = true});
  }
};

TEST_F(GpuRefusalInFlight, SkippedStepsAreTheSame) {
  break_two({"train.on_non_finite=skip", "train.max_skips=20"});
  resume("one");
  EXPECT_EQ(error_, "");
  resume("five");
  EXPECT_EQ(error_, "");
  ASSERT_GE(skipped_steps("one").size(), 2u);
  EXPECT_LE(skipped_steps("one").size(), 12u) << "most steps are good ones";
  EXPECT_EQ(metrics_of("one"), metrics_of("five"));
  EXPECT_EQ(weights_and_moments(path("one/checkpoints/step_20")),
            weights_and_moments(path("five/checkpoints/step_20")));
}

TEST_F(GpuRefusalInFlight, TheBlackBoxHoldsTheStepThatWasRefused) {
  for (const bool skips : {false, true}) {
    std::vector<std::string> overrides;
    if (skips) overrides = {"train.on_non_finite=skip", "train.max_skips=1"};
    break_two(overrides);
    resume("one");
    const std::string said = error_;
    EXPECT_THAT(said, HasSubstr("embedding in token_embedding"));
    resume("five");
    EXPECT_EQ(said.substr(0, said.find(';')), error_.substr(0, error_.find(';')));
    const auto bundle = weights_and_moments(path("one/blackbox"));
    EXPECT_EQ(bundle, weights_and_moments(path("five/blackbox")));
    EXPECT_GE(bundle.size(), 3u);  // and the batch
    EXPECT_EQ(metrics_of("one"), metrics_of("five"));
    fs::remove_all(path("one"));
    fs::remove_all(path("five"));
  }
}

TEST_F(GpuRunInFlight, StepsAfterARefusedOneAreDiscarded) {
  Trainer trainer(tiny_config(text_, five));
  EXPECT_EQ(trainer.most_in_flight(), 5);
  for (int i = 0; i < 4; ++i) trainer.step();
  const Tensor& values = trainer.parameters().values();
  const std::vector<float> good = values.to_vector<float>();
  std::vector<float> poisoned = good;
  poisoned[7] = INFINITY;
  copy_tensor(values, Tensor::from(values.shape(), poisoned));
  for (int i = 0; i < 4; ++i) trainer.begin_step();
  EXPECT_EQ(trainer.in_flight(), 4);
  EXPECT_EQ(trainer.steps_done(), 8);
  EXPECT_THROW(trainer.step(), Error);
  const StepResult refused = trainer.finish_step();
  EXPECT_EQ(refused.refusal, Refusal::not_finite);
  EXPECT_EQ(refused.step, 5);
  EXPECT_EQ(trainer.in_flight(), 0);
  EXPECT_EQ(trainer.steps_done(), 5);
  EXPECT_EQ(values.to_vector<float>()[8], good[8]);
  copy_tensor(values, Tensor::from(values.shape(), good));
  const StepResult next = trainer.step();
  EXPECT_EQ(next.refusal, Refusal::none);
  EXPECT_EQ(next.step, 6);
  EXPECT_NE(values.to_vector<float>(), good);
}

TEST_F(GpuRunInFlight, TheLastStepIsRepeatedAfterARefusedOne) {
  Trainer trainer(tiny_config(text_, with(five, {"train.steps=6"})));
  for (int i = 0; i < 4; ++i) trainer.step();
  const Tensor& values = trainer.parameters().values();
  const std::vector<float> good = values.to_vector<float>();
  copy_tensor(values, Tensor::from(values.shape(), std::vector<float>(good.size(), INFINITY)));
  for (int i = 0; i < 2; ++i) trainer.begin_step();
  EXPECT_EQ(trainer.finish_step().refusal, Refusal::not_finite);
  EXPECT_THROW(trainer.finish_step(), Error);
  copy_tensor(values, Tensor::from(values.shape(), good));
  const StepResult last = trainer.step();
  EXPECT_EQ(last.refusal, Refusal::none);
  EXPECT_EQ(last.step, 6);
}

TEST_F(GpuRunInFlight, NoMoreThanTheConfigAllows) {
  Trainer trainer(tiny_config(text_, five));
  for (int i = 0; i < 5; ++i) trainer.begin_step();
  EXPECT_THROW(trainer.begin_step(), Error);
}

}  // namespace
}  // namespace folio
