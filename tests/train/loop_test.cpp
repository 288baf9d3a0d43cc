#include "folio/train/loop.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <ios>
#include <limits>
#include <string>

#include "folio/kernels/process.h"
#include "folio/run/final_evaluation.h"
#include "folio/run/loaded_run.h"
#include "folio/run/run_lock.h"
#include "folio/run/text_identity.h"
#include "support/run_fixture.h"

namespace folio {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

TEST_F(RunTest, LeavesADirectoryThatHoldsEverything) {
  const std::string said =
      train_into("run", {.overrides = {"train.checkpoint_every=10", "train.sample_at=[0, 20]",
                                       "train.sample_tokens=30"}});
  EXPECT_THAT(said, AllOf(HasSubstr("reading " + text_.string()), HasSubstr("validation loss"),
                          HasSubstr("tokens/s"), HasSubstr("next folio sample")));
  for (const char* name :
       {"config.yaml", "text.json", "metrics.jsonl", "samples/step_0.txt", "samples/step_20.txt",
        "checkpoints/step_10/model.safetensors", "checkpoints/step_20/optimizer.safetensors",
        "checkpoints/best/model.safetensors"}) {
    EXPECT_TRUE(fs::exists(path("run") / name)) << name;
  }
  EXPECT_TRUE(
      differing_keys(load_config(path("run") / "config.yaml"),
                     tiny_config(text_, {"train.checkpoint_every=10", "train.sample_at=[0, 20]",
                                         "train.sample_tokens=30"}))
          .empty());
  int trained = 0, evaluated = 0;
  for (const nlohmann::json& line : metrics_of(path("run"))) {
    trained += line.contains("train_loss");
    evaluated += line.contains("val_loss");
  }
  EXPECT_EQ(trained, 20);
  EXPECT_EQ(evaluated, 4);
  const auto final = read_final_evaluation(path("run"));
  ASSERT_TRUE(final);
  EXPECT_EQ(final->step, 20);
  EXPECT_THAT(said,
              HasSubstr(fmt::format(
                  "validation loss {:.4f} over the whole split ({} tokens; {:.4f} bits a byte)",
                  final->loss, final->tokens, final->bits_per_byte.value_or(0.0))));
  EXPECT_DOUBLE_EQ(final->bits_per_byte.value_or(0.0), final->loss / std::log(2.0));  // ASCII
  EXPECT_EQ(final->best_step.has_value(), said.find("the best checkpoint, of step") != said.npos);
  write_file(path("run/evaluation.json"), "{\"step\":20}");
  EXPECT_FALSE(read_final_evaluation(path("run")));
}

TEST_F(RunTest, TwentyStepsAreTenAStopAndTenMore) {
  train_into("whole", {.overrides = keep_});
  const std::string stopped = train_into("parts", {.overrides = keep_, .stop_at = 10});
  EXPECT_THAT(stopped, HasSubstr("stopped after step 10 of 20"));
  EXPECT_FALSE(fs::exists(path("parts/checkpoints/step_20")));
  train_into("parts", {.resume = true});
  for (const char* step : {"checkpoints/step_10", "checkpoints/step_20", "checkpoints/best"}) {
    EXPECT_EQ(files_in(path("whole") / step), files_in(path("parts") / step)) << step;
  }
  EXPECT_EQ(metrics_of(path("whole")), metrics_of(path("parts")));
}

TEST_F(RunTest, ContinuesFromTheNewestCheckpointAfterACrash) {
  // As if the machine had stopped at step 17: the metrics are younger than the checkpoint of
  // step 7.
  train_into("whole", {.overrides = {"train.checkpoint_every=7"}});
  fs::copy(path("whole"), path("crashed"), fs::copy_options::recursive);
  fs::remove_all(path("crashed/checkpoints/step_20"));
  fs::remove_all(path("crashed/checkpoints/step_14"));
  fs::remove_all(path("crashed/checkpoints/best"));
  std::ofstream(path("crashed/metrics.jsonl"), std::ios::app) << "{\"step\":2";
  train_into("crashed", {.resume = true});
  EXPECT_EQ(files_in(path("whole/checkpoints")), files_in(path("crashed/checkpoints")));
  EXPECT_EQ(metrics_of(path("whole")), metrics_of(path("crashed")));
}

TEST_F(RunTest, NeverStartsOverWhatItHasOnRecord) {
  train_into("run", {.overrides = {"train.checkpoint_every=0", "train.sample_at=[20]"}});
  const auto before = files_in(path("run"));
  EXPECT_THAT(error_of([&] { train_into("run", {.resume = true}); }),
              AllOf(HasSubstr("there is no checkpoint"), HasSubstr("metrics.jsonl goes to step 20"),
                    HasSubstr("another --run")));
  EXPECT_EQ(files_in(path("run")), before);
}

TEST_F(RunTest, StartsAgainWhereNoStepWasDone) {
  train_into("whole", {.overrides = keep_});
  fs::copy(path("whole"), path("crashed"), fs::copy_options::recursive);
  fs::remove_all(path("crashed/checkpoints"));
  write_file(path("crashed/metrics.jsonl"), "{\"st");
  train_into("crashed", {.resume = true});
  EXPECT_EQ(files_in(path("whole/checkpoints")), files_in(path("crashed/checkpoints")));
  EXPECT_EQ(metrics_of(path("whole")), metrics_of(path("crashed")));
}

TEST_F(RunTest, OneProcessTrainsAtATime) {
  train_into("run", {.overrides = keep_, .stop_at = 10});
  const auto before = files_in(path("run"));
  {
    const RunLock lock(path("run"));
    EXPECT_THAT(
        error_of([&] { train_into("run", {.resume = true}); }),
        AllOf(HasSubstr(path("run").string()), HasSubstr("is being trained by another process")));
  }
  EXPECT_EQ(files_in(path("run")), before);
  train_into("run", {.resume = true});  // the lock is gone with its holder
  // Another that starts at the same moment has made the directory and taken the lock.
  fs::create_directories(path("new"));
  const RunLock lock(path("new"));
  EXPECT_THAT(error_of([&] { train_into("new"); }), HasSubstr("by another process"));
  EXPECT_EQ(files_in(path("new")).size(), 1u);
}

TEST_F(RunTest, AStartThatWasCutShortIsNoObstacle) {
  fs::create_directories(path("run/checkpoints"));
  fs::create_directories(path("run/samples"));
  train_into("run", {.overrides = {"train.steps=2"}});
  // Killed between text.json and config.yaml, and while config.yaml was written.
  fs::create_directory(path("killed"));
  for (const char* name : {"lock", "text.json", "config.yaml.tmp-123"}) {
    write_file(path("killed") / name, "");
  }
  EXPECT_THAT(error_of([&] { train_into("killed", {.resume = true}); }),
              HasSubstr("start one without --resume"));
  train_into("killed", {.overrides = {"train.steps=2"}});
  EXPECT_TRUE(fs::exists(path("killed/config.yaml")));
  // The same names without the lock are somebody's own.
  fs::create_directory(path("own"));
  write_file(path("own/text.json"), "mine");
  EXPECT_THAT(error_of([&] { train_into("own"); }), HasSubstr("for example text.json"));
  EXPECT_EQ(read_text(path("own/text.json")), "mine");
}

TEST_F(RunTest, ADirectoryThatTheSystemRefuses) {
  fs::create_symlink("loop", path("loop"));
  const std::string long_name(300, 'x');
  for (const std::string& name : {std::string("loop"), long_name}) {
    for (const bool resume : {false, true}) {
      EXPECT_THAT(error_of([&] { train_into(name, {.resume = resume}); }),
                  HasSubstr("the directory cannot be accessed"));
    }
    EXPECT_THAT(error_of([&] { load_run(path(name), "last"); }),
                HasSubstr("the directory cannot be accessed"));
  }
}

TEST_F(RunTest, TheBestCheckpointHasTheLowestValidationLoss) {
  train_into("run", {.overrides = {"train.checkpoint_every=20", "train.eval_every=2",
                                   "optimizer.lr=0.5", "schedule.name=constant"}});
  double best = std::numeric_limits<double>::infinity();
  int64_t step = -1;
  for (const nlohmann::json& line : metrics_of(path("run"))) {
    if (!line.contains("val_loss") || line["val_loss"] >= best) continue;
    best = line["val_loss"];
    step = line["step"];
  }
  const Progress progress = read_progress(path("run/checkpoints/best"));
  EXPECT_EQ(progress.step, step);
  EXPECT_EQ(progress.validation_loss, best);
  EXPECT_EQ(load_run(path("run"), "best")->progress.step, step);
  EXPECT_EQ(load_run(path("run"), "last")->progress.step, 20);
}

TEST_F(RunTest, AFinishedRunSaysSo) {
  train_into("run", {.overrides = keep_});
  const auto before = files_in(path("run"));
  EXPECT_THAT(train_into("run", {.resume = true}), HasSubstr("20 steps are done"));
  EXPECT_THAT(train_into("run", {.resume = true, .stop_at = 5}), HasSubstr("20 steps are done"));
  EXPECT_EQ(files_in(path("run")), before);
}

TEST_F(RunTest, GoesOnForMoreSteps) {
  train_into("run", {.overrides = keep_});
  train_into("run", {.overrides = {"train.steps=24"}, .resume = true});
  EXPECT_TRUE(fs::exists(path("run/checkpoints/step_24")));
  EXPECT_EQ(load_config(path("run/config.yaml")).train.steps, 24);
}

TEST_F(RunTest, NeverTouchesADirectoryThatIsInUse) {
  fs::create_directory(path("run"));
  write_file(path("run") / "precious.txt", "mine");
  const auto before = files_in(path("run"));
  EXPECT_THAT(error_of([&] { train_into("run"); }),
              AllOf(HasSubstr(path("run").string()), HasSubstr("for example precious.txt"),
                    HasSubstr("another --run")));
  EXPECT_THAT(error_of([&] { train_into("run", {.resume = true}); }),
              HasSubstr("no run to continue"));
  EXPECT_EQ(files_in(path("run")), before);
  EXPECT_THAT(error_of([&] { train_into("text.txt"); }), HasSubstr("is a file"));
  EXPECT_EQ(read_text(text_), tiny_text());
  train_into("trained", {.overrides = {"train.steps=2"}});
  const auto trained = files_in(path("trained"));
  EXPECT_THAT(error_of([&] { train_into("trained"); }),
              AllOf(HasSubstr("exists and is not empty"), HasSubstr("--resume")));
  EXPECT_EQ(files_in(path("trained")), trained);
}

TEST_F(RunTest, WritesNothingBeforeEverythingIsChecked) {
  for (const char* bad : {"data.text=/nowhere/text.txt", "model.heads=3", "model.context=3000",
                          "train.sample_prompt=\u20ac"}) {
    EXPECT_NE(error_of([&] { train_into("run", {.overrides = {bad}}); }), "") << bad;
    EXPECT_FALSE(fs::exists(path("run"))) << bad;
  }
}

TEST_F(RunTest, UsesADirectoryThatIsEmpty) {
  fs::create_directory(path("run"));
  train_into("run", {.overrides = {"train.steps=2"}});
  EXPECT_TRUE(fs::exists(path("run/metrics.jsonl")));
}

TEST_F(RunTest, ListsTheKeysThatAContinuedRunCannotChange) {
  train_into("run", {.overrides = keep_, .stop_at = 10});
  const auto before = files_in(path("run"));
  EXPECT_THAT(error_of([&] {
                train_into("run",
                           {.overrides = {"model.width=32", "optimizer.lr=0.1", "train.steps=30"},
                            .resume = true});
              }),
              AllOf(HasSubstr("cannot change model.width, optimizer.lr;"),
                    Not(HasSubstr("cannot change train.steps"))));
  EXPECT_EQ(files_in(path("run")), before);
}

TEST_F(RunTest, ContinuesOnTheSameTextOnly) {
  train_into("run", {.overrides = keep_, .stop_at = 10});
  fs::rename(text_, path("moved.txt"));
  const auto before = files_in(path("run"));
  EXPECT_THAT(error_of([&] { train_into("run", {.resume = true}); }),
              AllOf(HasSubstr("is no longer at"), HasSubstr(text_.string())));
  write_file(text_, tiny_text(3000));
  EXPECT_THAT(error_of([&] { train_into("run", {.resume = true}); }),
              HasSubstr("is no longer the text of this run"));
  EXPECT_EQ(files_in(path("run")), before);
  train_into("run", {.overrides = {"data.text=" + path("moved.txt").string()}, .resume = true});
  EXPECT_TRUE(fs::exists(path("run/checkpoints/step_20")));
  EXPECT_EQ(read_text_identity(path("run")).path, path("moved.txt"));
}

TEST_F(RunTest, AnIntervalOfZeroMeansNever) {
  const std::string said = train_into("run", {.overrides = {"train.eval_every=0"}});
  EXPECT_THAT(said, Not(HasSubstr("validation loss")));
  EXPECT_TRUE(fs::is_empty(path("run/checkpoints")));
  for (const nlohmann::json& line : metrics_of(path("run")))
    EXPECT_FALSE(line.contains("val_loss"));
}

TEST_F(RunTest, SamplesAtTheEndWhereItSamplesAtAll) {
  train_into("some", {.overrides = {"train.steps=3", "train.sample_at=[1]"}});
  EXPECT_TRUE(fs::exists(path("some/samples/step_1.txt")));
  EXPECT_TRUE(fs::exists(path("some/samples/step_3.txt")));
  train_into("none", {.overrides = {"train.steps=3"}});
  EXPECT_TRUE(fs::is_empty(path("none/samples")));
}

TEST_F(RunTest, ThreadsAreThoseOfTheConfig) {
  const int before = threads();
  train_into("run",
             {.overrides = {"train.steps=2", "train.checkpoint_every=2", "train.threads=3"}});
  set_threads(1);
  load_run(path("run"), "last");
  EXPECT_EQ(threads(), 3);
  set_threads(before);
}

TEST_F(RunTest, NamesADirectoryThatIsNoRun) {
  const auto error = [&](const std::string& name) {
    return error_of([&] { load_run(path(name), "last"); });
  };
  EXPECT_EQ(error("nothing"),
            path("nothing").string() +
                ": there is no such run directory; name the --run of a folio train");
  fs::create_directory(path("empty"));
  EXPECT_THAT(error("empty"), HasSubstr("is not a run directory: it has no config.yaml"));
  write_file(path("file"), "");
  EXPECT_THAT(error("file"), HasSubstr("is a file, not a run directory"));
}

TEST_F(RunTest, DivergenceEndsTheRun) {
  EXPECT_THAT(error_of([&] {
                train_into("run", {.overrides = {"optimizer.name=sgd", "optimizer.lr=1e6",
                                                 "optimizer.clip=0", "schedule.warmup=0"}});
              }),
              HasSubstr("Training has diverged"));
}

}  // namespace
}  // namespace folio
