// Runs that continue after damage: whatever happened to the newest checkpoint, the one before it
// carries on, and the run ends with the bits that it would have had.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "folio/run/checkpoint.h"
#include "folio/run/run_directory.h"
#include "folio/tensor/random.h"
#include "support/run_fixture.h"

namespace folio {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::SizeIs;
using ::testing::StartsWith;

constexpr const char* file_names[] = {"model.safetensors", "optimizer.safetensors", "config.json",
                                      "tokenizer.json",    "config.yaml",           "state.json"};

class ResumeTest : public RunTest {
 protected:
  /// What is said of the file of step_20 when --resume takes step_10 instead.
  std::string fault_seen(const char* name) {
    const OpenedRun opened = open_run({.run = path("run"), .resume = true});
    EXPECT_EQ(opened.from.checkpoint, path("run/checkpoints/step_10"));
    EXPECT_THAT(opened.from.damaged, SizeIs(1));
    if (opened.from.damaged.empty()) return "";
    EXPECT_THAT(opened.from.damaged[0], HasSubstr(std::string("/").append(name).append(": ")));
    return opened.from.damaged[0];
  }
  void train_whole(const std::vector<std::string>& more = {}) {
    std::vector<std::string> overrides = keep_;
    overrides.insert(overrides.end(), more.begin(), more.end());
    train_into("run", {.overrides = overrides});
  }

  const fs::path newest_ = path("run/checkpoints/step_20");
};

TEST_F(ResumeTest, TruncatedFilesAreNamedAndTheCheckpointBeforeIsTaken) {
  train_whole({"train.eval_every=0"});
  for (const char* name : file_names) {
    const std::string whole = read_text(newest_ / name);
    for (size_t part = 0; part < 20; ++part) {
      write_file(newest_ / name, whole.substr(0, whole.size() * part / 20));
      EXPECT_THAT(fault_seen(name), HasSubstr("(is it truncated?)")) << part << "/20";
    }
    write_file(newest_ / name, whole);
  }
  EXPECT_EQ(open_run({.run = path("run"), .resume = true}).from.checkpoint, newest_);
}

TEST_F(ResumeTest, FlippedBitsAreNamedAndTheCheckpointBeforeIsTaken) {
  train_whole({"train.eval_every=0"});
  const RandomStream stream{.seed = 4, .purpose = purpose_of("bits"), .step = 0};
  uint64_t drawn = 0;
  for (const char* name : file_names) {
    const std::string whole = read_text(newest_ / name);
    for (int sample = 0; sample < 30; ++sample) {
      const uint64_t bit = stream.below(8 * whole.size(), drawn++);
      std::string flipped = whole;
      flipped[bit / 8] ^= static_cast<char>(1 << bit % 8);
      write_file(newest_ / name, flipped);
      EXPECT_THAT(fault_seen(name), HasSubstr("checksum")) << "bit " << bit;
    }
    write_file(newest_ / name, whole);
  }
}

TEST_F(ResumeTest, TheSameBitsComeOutOfTheCheckpointBefore) {
  train_whole();
  const auto whole = files_in(path("run/checkpoints"));
  const auto metrics = metrics_of(path("run"));
  for (const char* name : file_names) {
    // The best is younger than step 10, so it would be taken.
    for (const char* checkpoint : {"step_20", "best"}) {
      const fs::path file = path("run/checkpoints") / checkpoint / name;
      fs::resize_file(file, fs::file_size(file) / 2);
    }
    EXPECT_THAT(train_into("run", {.resume = true}),
                AllOf(HasSubstr("damaged best/" + std::string(name) + ": "),
                      HasSubstr("damaged step_20/" + std::string(name) + ": "),
                      HasSubstr("resume  step_10, after step 10")));
    EXPECT_EQ(files_in(path("run/checkpoints")), whole) << name;
    EXPECT_EQ(metrics_of(path("run")), metrics) << name;
  }
}

TEST_F(ResumeTest, NothingIsTouchedWhereNoCheckpointIsWhole) {
  train_whole();
  for (const char* checkpoint : {"step_10", "step_20", "best"}) {
    fs::remove(path("run/checkpoints") / checkpoint / "state.json");
  }
  const auto before = files_in(path("run"));
  EXPECT_THAT(error_of([&] { train_into("run", {.resume = true}); }),
              AllOf(HasSubstr("no checkpoint is whole"), HasSubstr("step_10/state.json: cannot"),
                    HasSubstr("step_20/state.json: cannot"), HasSubstr("best/state.json: cannot")));
  EXPECT_EQ(files_in(path("run")), before);
}

TEST_F(ResumeTest, ContinuesFromTheBestWhereThatIsNewer) {
  train_whole();
  const auto whole = files_in(path("run/checkpoints"));
  train_into("killed", {.overrides = keep_, .stop_at = 15});
  fs::remove_all(path("killed/checkpoints/step_15"));
  ASSERT_EQ(read_progress(path("killed/checkpoints/best")).step, 15);
  EXPECT_THAT(train_into("killed", {.resume = true}), HasSubstr("resume  best, after step 15"));
  EXPECT_EQ(files_in(path("killed/checkpoints")), whole);
  EXPECT_EQ(metrics_of(path("killed")), metrics_of(path("run")));
}

TEST_F(ResumeTest, ARunKilledRightAfterSavingTheBestSavesTheOtherToo) {
  train_whole({"train.steps=15"});
  const auto whole = files_in(path("run/checkpoints"));
  ASSERT_EQ(read_progress(path("run/checkpoints/best")).step, 15);
  fs::remove_all(path("run/checkpoints/step_15"));  // it would have come next
  EXPECT_THAT(train_into("run", {.resume = true}),
              AllOf(HasSubstr("resume  best, after step 15"), HasSubstr("next folio sample")));
  EXPECT_EQ(files_in(path("run/checkpoints")), whole);
}

TEST_F(ResumeTest, ADamagedBestIsMadeAnew) {
  train_whole();
  const auto whole = files_in(path("run/checkpoints/best"));
  fs::remove_all(newest_);
  fs::remove(path("run/checkpoints/best/model.safetensors"));
  EXPECT_THAT(train_into("run", {.resume = true}),
              AllOf(HasSubstr("damaged best/model.safetensors: cannot read"),
                    HasSubstr("resume  step_10, after step 10")));
  EXPECT_EQ(files_in(path("run/checkpoints/best")), whole);
}

TEST_F(ResumeTest, ADamagedBestDoesNotEndAFinishedRun) {
  train_into("run", {.overrides = keep_, .stop_at = 15});
  fs::remove(path("run/checkpoints/best/model.safetensors"));
  EXPECT_THAT(train_into("run", {.overrides = {"train.eval_every=100"}, .resume = true}),
              AllOf(HasSubstr("damaged best"), HasSubstr("next folio sample")));
}

TEST_F(ResumeTest, KeepsTheNewestAndTheBest) {
  const std::vector<std::string> often = {"train.checkpoint_every=2"};
  const auto steps = [&] {
    std::vector<int64_t> numbers;
    for (const auto& [step, place] : list_checkpoints(path("run"))) numbers.push_back(step);
    return numbers;
  };
  train_into("run", {.overrides = often, .stop_at = 11});
  EXPECT_EQ(steps(), (std::vector<int64_t>{8, 10, 11}));
  train_into("run", {.overrides = {"train.keep_last=1"}, .resume = true, .stop_at = 13});
  EXPECT_EQ(steps(), (std::vector<int64_t>{13}));
  train_into("run", {.overrides = {"train.keep_last=0"}, .resume = true});
  EXPECT_EQ(steps(), (std::vector<int64_t>{13, 14, 16, 18, 20}));
  EXPECT_EQ(read_progress(path("run/checkpoints/best")).step, 15);
}

TEST_F(ResumeTest, TheDataCursorMustFitTheStep) {
  train_into("run", {.overrides = keep_, .stop_at = 10});
  EXPECT_EQ(read_progress(path("run/checkpoints/step_10")).samples, 80);
  // A checkpoint that another program made up, with all checksums right.
  const fs::path checkpoint = path("run/checkpoints/step_10");
  fs::remove_all(path("run/checkpoints/best"));
  Trainer trainer(load_config(checkpoint / "config.yaml"));
  save_checkpoint(checkpoint, trainer.model(), trainer.parameters(), trainer.optimizer(),
                  trainer.tokenizer(), load_config(checkpoint / "config.yaml"),
                  {.step = 10, .samples = 79});
  EXPECT_EQ(error_of([&] { train_into("run", {.resume = true}); }),
            (checkpoint / "state.json").string() +
                ": 79 samples were drawn in 10 steps, but with train.batch 8 it would be 80; this "
                "is another run's checkpoint");
}

TEST_F(ResumeTest, AnotherModelOrOtherDataAreRefusedByName) {
  train_into("run", {.overrides = keep_, .stop_at = 10});
  const auto before = files_in(path("run"));
  const std::vector<std::string> other = {
      "model.layers=1",          "model.bias=true",
      "data.sampling=shuffled",  "data.validation_fraction=0.2",
      "train.batch=4",           "train.seed=9",
      "train.label_smoothing=0", "data.unknown_character=replace"};
  std::string keys;
  for (const std::string& entry : other) {
    EXPECT_THAT(error_of([&] { train_into("run", {.overrides = {entry}, .resume = true}); }),
                HasSubstr("cannot change " + entry.substr(0, entry.find('=')) + ";"));
  }
  EXPECT_THAT(error_of([&] { train_into("run", {.overrides = other, .resume = true}); }),
              HasSubstr("cannot change data.unknown_character, data.validation_fraction, "
                        "data.sampling, model.layers, model.bias, train.batch, train.seed, "
                        "train.label_smoothing;"));
  EXPECT_EQ(files_in(path("run")), before);
}

TEST_F(ResumeTest, WhatTheWeightsWereTrainedWithCounts) {
  train_into("run", {.overrides = keep_, .stop_at = 10});
  std::string config = read_text(path("run/config.yaml"));
  const std::string was = "sampling: random";
  ASSERT_NE(config.find(was), config.npos);
  config.replace(config.find(was), was.size(), "sampling: shuffled");
  write_file(path("run/config.yaml"), config);
  EXPECT_THAT(error_of([&] { train_into("run", {.resume = true}); }),
              AllOf(StartsWith(path("run/checkpoints/step_10/config.yaml").string()),
                    HasSubstr("cannot change data.sampling;"), Not(HasSubstr("train.steps;"))));
}

}  // namespace
}  // namespace folio
