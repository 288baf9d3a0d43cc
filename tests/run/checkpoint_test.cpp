#include "folio/run/checkpoint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "folio/io/safetensors.h"
#include "folio/run/checkpoint_state.h"
#include "support/tiny_checkpoint.h"

namespace folio {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;
using ::testing::StartsWith;
using ::testing::UnorderedElementsAre;

using Checkpoint = CheckpointTest;

std::vector<std::string> names_in(const fs::path& directory) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(directory)) {
    names.push_back(entry.path().filename().string());
  }
  return names;
}

/// The number of a process that has ended.
pid_t dead_process() {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(0);
  ::waitpid(child, nullptr, 0);
  return child;
}

TEST_F(Checkpoint, RoundTrip) {
  TinyState saved(1), loaded(2);
  const Progress progress{.step = 500,
                          .samples = 6000,
                          .validation_loss = 1.0 / 3,
                          .best_validation_loss = 0.1,
                          .best_step = 250};
  saved.save(step(500), progress);
  EXPECT_THAT(names_in(checkpoints), ElementsAre("step_500"));
  EXPECT_THAT(names_in(step(500)),
              UnorderedElementsAre("model.safetensors", "optimizer.safetensors", "tokenizer.json",
                                   "config.yaml", "state.json"));
  EXPECT_NE(saved.bytes(), loaded.bytes());
  const Progress back = loaded.load(step(500));
  EXPECT_EQ(saved.bytes(), loaded.bytes());
  EXPECT_EQ(back.step, 500);
  EXPECT_EQ(back.samples, 6000);
  EXPECT_EQ(back.validation_loss, 1.0 / 3);
  EXPECT_EQ(back.best_validation_loss, 0.1);
  EXPECT_EQ(back.best_step, 250);
  EXPECT_EQ(load_tokenizer(step(500))->hash(), saved.tokenizer->hash());
  EXPECT_EQ(read_text(step(500) / "config.yaml"), to_yaml(saved.config));
  verify_checkpoint(step(500));
}

TEST_F(Checkpoint, TheSameStateGivesTheSameBytes) {
  TinyState(1).save(step(1));
  TinyState(1).save(run / "other" / "step_1");
  EXPECT_EQ(contents_of(step(1)), contents_of(run / "other" / "step_1"));
}

TEST_F(Checkpoint, UnknownLossesAreNull) {
  TinyState(1).save(step(0), {});
  const auto state = nlohmann::json::parse(read_text(step(0) / "state.json"));
  EXPECT_TRUE(state.at("validation_loss").is_null());
  EXPECT_TRUE(state.at("best_validation_loss").is_null());
  const Progress progress = read_progress(step(0));
  EXPECT_TRUE(std::isnan(progress.validation_loss));
  EXPECT_EQ(progress.best_validation_loss, std::numeric_limits<double>::infinity());
  EXPECT_EQ(progress.best_step, -1);
}

TEST_F(Checkpoint, MomentsAreNamedByParameter) {
  TinyState state(1);
  state.save(step(1));
  const SafetensorsFile file = read_safetensors(step(1) / "optimizer.safetensors");
  EXPECT_EQ(file.tensors.size(), 8u);
  const auto found =
      std::ranges::find(file.tensors, "norm.weight.second_moment", &NamedTensor::name);
  ASSERT_NE(found, file.tensors.end());
  const Parameter& parameter = state.parameters.find("norm.weight");
  EXPECT_EQ(
      found->tensor.to_vector<float>(),
      state.optimizer->state()[1].slab.view(parameter.offset, parameter.shape).to_vector<float>());
}

TEST_F(Checkpoint, LoadsIntoTheOtherPrecision) {
  TinyState single(1), doubles(2, DType::f64), back(3);
  single.save(step(1));
  doubles.load(step(1));
  EXPECT_EQ(doubles.parameters.values().data<double>()[5],
            static_cast<double>(single.parameters.values().data<float>()[5]));
  doubles.save(step(2));
  back.load(step(2));
  EXPECT_EQ(back.bytes(), single.bytes());
}

TEST_F(Checkpoint, AnotherModelIsRefusedAndNothingChanges) {
  TinyState saved(1), wider(2, DType::f32, "abc", OptimizerKind::adamw, 8);
  saved.save(step(1));
  const std::string before = wider.bytes();
  EXPECT_EQ(error_of([&] { load_parameters(step(1), wider.model, wider.parameters); }),
            (step(1) / "model.safetensors").string() +
                ": norm.weight is (6) in the file but (8) in the model; is this another "
                "config's run?");
  EXPECT_THAT(error_of([&] { load_progress(step(1), wider.parameters, *wider.optimizer); }),
              AllOf(StartsWith((step(1) / "optimizer.safetensors").string()),
                    HasSubstr("norm.weight.first_moment is (6) in the file but (8)")));
  EXPECT_EQ(wider.bytes(), before);
}

TEST_F(Checkpoint, MissingAndUnknownParametersAreNamed) {
  TinyState(1).save(step(1));
  ParameterStore more, fewer;
  for (const auto& [name, shape] : std::vector<std::pair<std::string, Shape>>{
           {"norm.weight", {6}}, {"qkv.weight", {4, 6}}, {"norm.bias", {6}}}) {
    more.create(name, shape, Init::zeros());
    fewer.create(name, shape, Init::zeros());
  }
  more.create("head.weight", {3, 4}, Init::zeros());
  more.create("head.bias", {3}, Init::zeros());
  more.initialize(1);
  fewer.initialize(1);
  EXPECT_THAT(error_of([&] { load_parameters(step(1), BareModel{Scope(more)}, more); }),
              HasSubstr("head.bias is in the model but not in the file"));
  EXPECT_THAT(error_of([&] { load_parameters(step(1), BareModel{Scope(fewer)}, fewer); }),
              HasSubstr("head.weight is in the file but not in the model"));
  EXPECT_EQ(more.values().to_vector<float>(), std::vector<float>(more.numel(), 0.0f));
}

TEST_F(Checkpoint, AnotherOptimizerIsRefused) {
  TinyState saved(1, DType::f32, "abc", OptimizerKind::sgd), loaded(2);
  saved.save(step(1));
  EXPECT_THAT(error_of([&] { loaded.load(step(1)); }), HasSubstr("or another optimizer's?"));
}

TEST_F(Checkpoint, EachKeepsItsTokenizer) {
  TinyState(1, DType::f32, "abc").save(step(1));
  TinyState(1, DType::f32, "abcdé").save(step(2));
  EXPECT_EQ(load_tokenizer(step(1))->vocabulary(), 3);
  EXPECT_EQ(load_tokenizer(step(2))->vocabulary(), 5);
}

TEST_F(Checkpoint, ATokenizerOfAnotherModelIsNamed) {
  TinyState(1, DType::f32, "abc").save(step(1));
  TinyState(1, DType::f32, "xyz").save(step(2));
  fs::copy_file(step(2) / "tokenizer.json", step(1) / "tokenizer.json",
                fs::copy_options::overwrite_existing);
  EXPECT_THAT(error_of([&] { load_tokenizer(step(1)); }),
              AllOf(StartsWith((step(1) / "tokenizer.json").string()), HasSubstr("damaged")));
  // Also where sizes and checksums were brought up to date by hand.
  CheckpointState state = read_state(step(1));
  state.files["tokenizer.json"] = stamp_of(step(1) / "tokenizer.json");
  write_file(step(1) / "state.json", to_json(state));
  EXPECT_THAT(error_of([&] { load_tokenizer(step(1)); }),
              HasSubstr("not the one that the model was trained with"));
}

TEST_F(Checkpoint, SavingAgainReplaces) {
  TinyState first(1), second(2), loaded(3);
  const fs::path best = checkpoints / "best";
  first.save(best, {.step = 10});
  second.save(best, {.step = 20});
  EXPECT_THAT(names_in(checkpoints), ElementsAre("best"));
  EXPECT_EQ(loaded.load(best).step, 20);
  EXPECT_EQ(loaded.bytes(), second.bytes());
}

TEST_F(Checkpoint, ACrashBetweenTheRenamesLosesNothing) {
  TinyState first(1), second(2);
  for (const char* name : {"best", "step_10"}) {
    first.save(checkpoints / name, {.step = 10});
    fs::rename(checkpoints / name, checkpoints / (std::string(name) + ".old"));
  }
  EXPECT_EQ(find_checkpoint(run, "best"), checkpoints / "best.old");
  EXPECT_EQ(best_checkpoint(run), checkpoints / "best.old");
  EXPECT_EQ(find_checkpoint(run, "last"), checkpoints / "step_10.old");
  EXPECT_EQ(find_checkpoint(run, "10"), checkpoints / "step_10.old");
  verify_checkpoint(checkpoints / "best.old");
  second.save(checkpoints / "best", {.step = 20});
  EXPECT_THAT(names_in(checkpoints), UnorderedElementsAre("best", "step_10.old"));
  EXPECT_EQ(read_progress(find_checkpoint(run, "best")).step, 20);
}

TEST_F(Checkpoint, ACrashBeforeTheOldOneIsRemovedLosesNothing) {
  TinyState state(1);
  state.save(step(10), {.step = 10});
  fs::create_directory(checkpoints / "step_10.old");
  EXPECT_THAT(list_checkpoints(run), ElementsAre(Pair(10, step(10))));
  state.save(step(20), {.step = 20});
  EXPECT_THAT(names_in(checkpoints), UnorderedElementsAre("step_10", "step_20"));
}

TEST_F(Checkpoint, LeftoversOfDeadProcessesAreRemoved) {
  const std::string dead = "step_5.tmp-" + std::to_string(dead_process());
  const std::string alive = "step_6.tmp-" + std::to_string(::getppid());
  const std::string own = "step_7.tmp-" + std::to_string(::getpid());
  for (const std::string& name : {dead, alive, own, std::string("notes.tmp-x")}) {
    fs::create_directories(checkpoints / name);
    write_file(checkpoints / name / "model.safetensors", "half");
  }
  EXPECT_TRUE(list_checkpoints(run).empty());
  TinyState(1).save(step(7));
  EXPECT_THAT(names_in(checkpoints), UnorderedElementsAre(alive, "step_7", "notes.tmp-x"));
  verify_checkpoint(step(7));
}

TEST_F(Checkpoint, ListsByStep) {
  TinyState state(1);
  EXPECT_TRUE(list_checkpoints(run).empty());
  for (int64_t number : {20, 3, 100}) state.save(step(number), {.step = number});
  state.save(checkpoints / "best", {.step = 3});
  for (const char* name : {"step_", "step_x", "step_007", "step_-1", "step_4.tmp-1", "other"}) {
    fs::create_directory(checkpoints / name);
  }
  write_file(checkpoints / "step_50", "a file");
  EXPECT_THAT(list_checkpoints(run),
              ElementsAre(Pair(3, step(3)), Pair(20, step(20)), Pair(100, step(100))));
  EXPECT_EQ(find_checkpoint(run, "last"), step(100));
  EXPECT_EQ(find_checkpoint(run, "20"), step(20));
  EXPECT_EQ(find_checkpoint(run, "best"), checkpoints / "best");
}

TEST_F(Checkpoint, FindSaysWhatThereIs) {
  EXPECT_EQ(
      error_of([&] { find_checkpoint(run / "no", "last"); }),
      (run / "no").string() + ": there is no such run directory; name the --run of a folio train");
  EXPECT_THAT(error_of([&] { find_checkpoint(run, "last"); }),
              AllOf(StartsWith(run.string()), HasSubstr("the run has no checkpoints")));
  TinyState(1).save(step(20));
  TinyState(1).save(step(3));
  for (const char* which : {"best", "4", "", "-3", "03", "99999999999999999999"}) {
    EXPECT_EQ(
        error_of([&] { find_checkpoint(run, which); }),
        run.string() + ": there is no checkpoint \"" + which + "\"; choose one of: last, 3, 20");
  }
  TinyState(1).save(checkpoints / "best");
  EXPECT_THAT(error_of([&] { find_checkpoint(run, "4"); }),
              HasSubstr("choose one of: last, best, 3, 20"));
}

}  // namespace
}  // namespace folio
