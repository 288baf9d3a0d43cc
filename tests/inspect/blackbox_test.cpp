#include "folio/inspect/blackbox.h"

#include <fmt/core.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <filesystem>
#include <iterator>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include "folio/inspect/blackbox_bundle.h"
#include "folio/io/json.h"
#include "folio/kernels/process.h"
#include "folio/report/report.h"
#include "support/refusing_run.h"
#include "support/tiny_checkpoint.h"

namespace folio {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr float infinity = std::numeric_limits<float>::infinity();

class BlackBoxTest : public RefusingRun {
 protected:
  static RefusedStep refused(Trainer& trainer, const StepResult& result) {
    return {.settings = trainer.settings_of(result.step - 1),
            .threads = threads(),
            .lr = result.lr,
            .loss = result.loss,
            .gradient_norm = result.gradient_norm,
            .batch = trainer.batch_of(result.step - 1)};
  }

  /// A run that stopped at its third step because of a weight of blocks.1.feed_forward.up; what it
  /// printed is in `said_`.
  void stop_a_run() {
    break_at("run", 2, "blocks.1.feed_forward.up.weight", 21, {"train.checkpoint_every=10"});
    said_ = train_into("run", {.resume = true});
  }

  std::string replayed(const fs::path& bundle) {
    testing::internal::CaptureStdout();
    try {
      replay(bundle);
    } catch (...) {
      testing::internal::GetCapturedStdout();
      throw;
    }
    return testing::internal::GetCapturedStdout();
  }

  std::string said_;
};

TEST_F(BlackBoxTest, NamesOpLayerAndParameterOfAnInfiniteWeight) {
  Trainer trainer(config());
  trainer.step();
  trainer.parameters().find("blocks.1.feed_forward.up.weight").value.data<float>()[21] = infinity;
  const RefusedStep step = refused(trainer, trainer.step());
  const Finding finding = examine(trainer.task(), trainer.model(), trainer.parameters(), step);
  EXPECT_EQ(finding.where(), "linear in blocks.1.feed_forward.up");
  EXPECT_THAT(finding.samples, ElementsAre(0, 1, 2, 3, 4, 5, 6, 7));
  EXPECT_THAT(report_text(step, finding, trainer.task(), trainer.tokenizer()),
              AllOf(HasSubstr("step 2   loss nan, gradient norm nan, learning rate "),
                    HasSubstr("linear in blocks.1.feed_forward.up, in the forward pass of samples "
                              "0 to 7 of 8"),
                    HasSubstr("read blocks.1.feed_forward.up.weight, f32 (64, 16)\n"),
                    HasSubstr("0 NaN and 1 infinite of 1,024, the first at (1, 5): inf"),
                    HasSubstr("read output 2 of residual_dropout_layer_norm in "
                              "blocks.1.feed_forward_norm, f32 (8, 12, 16)\n"),
                    HasSubstr("all 8 of the micro-batch hold bad values")));
}

TEST_F(BlackBoxTest, TellsTheSampleAndShowsItsText) {
  Trainer trainer(config({"train.accumulate=2"}));
  Tensor table = trainer.parameters().find("token_embedding.weight").value;
  table.data<float>()[rare_token() * 16 + 3] = infinity;
  StepResult result = trainer.step();
  while (result.refusal == Refusal::none) result = trainer.step();
  const RefusedStep step = refused(trainer, result);
  std::vector<int64_t> expected;  // the samples with '#', of the first micro-batch that has one
  const std::vector<int32_t> inputs = step.batch["tokens"].to_vector<int32_t>();
  for (int64_t i = 0; i < std::ssize(inputs); ++i) {
    const int64_t sample = i / 12;
    if (inputs[i] != rare_token() || (!expected.empty() && sample / 4 != expected[0] / 4)) continue;
    if (expected.empty() || expected.back() != sample) expected.push_back(sample);
  }
  const Finding finding = examine(trainer.task(), trainer.model(), trainer.parameters(), step);
  EXPECT_EQ(finding.where(), "embedding in token_embedding, position_embedding");
  EXPECT_EQ(finding.samples, expected);
  EXPECT_EQ(finding.first_sample, expected[0] / 4 * 4);
  const std::string report = report_text(step, finding, trainer.task(), trainer.tokenizer());
  const std::string text =
      trainer.tokenizer().decode(std::span(inputs).subspan(expected[0] * 12, 12));
  EXPECT_THAT(report, AllOf(HasSubstr(fmt::format("  sample {}\n    | {}", expected[0],
                                                  text.substr(0, text.find('\n')))),
                            HasSubstr("#")));
  const auto json =
      nlohmann::json::parse(report_json(step, finding, trainer.task(), trainer.tokenizer()));
  EXPECT_EQ(json["samples"], nlohmann::json(expected));
  EXPECT_THAT(json["texts"][0]["text"].get<std::string>(), ::testing::StartsWith(text));
  EXPECT_EQ(json["op"], "embedding");
  EXPECT_EQ(json["pass"], "forward");
  // An update on the way here may have made NaN of infinity.
  EXPECT_THAT(json["made"][0]["first_bad_value"], ::testing::AnyOf("inf", "nan"));
}

TEST_F(BlackBoxTest, FindsWhatIsBadInTheBackwardPassAlone) {
  Trainer trainer(config());
  break_backward_pass(trainer);
  const RefusedStep step = refused(trainer, trainer.step());
  ASSERT_TRUE(std::isfinite(step.loss));
  const Finding finding = examine(trainer.task(), trainer.model(), trainer.parameters(), step);
  EXPECT_EQ(finding.where(), "backward of residual_dropout_layer_norm in final_norm");
  EXPECT_EQ(finding.samples.size(), 8u);
  EXPECT_THAT(report_text(step, finding, trainer.task(), trainer.tokenizer()),
              AllOf(HasSubstr("in the backward pass of samples 0 to 7 of 8"),
                    HasSubstr("read gradient of output 2 of residual_dropout_layer_norm"),
                    HasSubstr("made gradient of output 1 of residual_dropout_layer_norm")));
}

/// Writes down the first op with a bad output or gradient, and nothing else.
struct Watch : TapeObserver {
  std::string first;
  static bool bad(const Tensor& values) {
    for (const float value : values.to_vector<float>()) {
      if (!std::isfinite(value)) return true;
    }
    return false;
  }
  void after_forward(const char* op, std::span<const Variable>,
                     std::span<const Variable> outputs) override {
    for (const Variable& y : outputs) {
      if (first.empty() && bad(y.value)) first = op;
    }
  }
  void after_backward(const char* op, std::span<GradSlot* const>,
                      std::span<GradSlot* const> written) override {
    for (const GradSlot* slot : written) {
      if (first.empty() && bad(slot->grad)) first = std::string("backward of ") + op;
    }
  }
};

TEST_F(BlackBoxTest, FindsTheOpOfAModelThatDiverged) {
  for (const char* order : {"model.norm=pre", "model.norm=post"}) {
    Trainer trainer(config({"optimizer.lr=1e4", "schedule.warmup=0", "schedule.name=constant",
                            "optimizer.clip=0", "train.accumulate=2", order}));
    StepResult result;
    while (result.refusal == Refusal::none && result.step < 100) result = trainer.step();
    ASSERT_EQ(result.refusal, Refusal::not_finite);
    EXPECT_GT(result.step, 1);
    const RefusedStep step = refused(trainer, result);
    const Finding finding = examine(trainer.task(), trainer.model(), trainer.parameters(), step);
    Watch watch;
    Tape tape;
    tape.set_observer(&watch);
    compute_gradients(trainer.task(), trainer.model(), trainer.parameters(), tape, step.batch,
                      step.settings, Tensor({1}, DType::f32));
    ASSERT_NE(watch.first, "");
    EXPECT_THAT(finding.where(), ::testing::StartsWith(watch.first + " "));
  }
}

TEST_F(BlackBoxTest, SaysSoWhereNoOpIsAtFault) {
  Trainer trainer(config());
  const RefusedStep step = refused(trainer, trainer.step());
  const Finding finding = examine(trainer.task(), trainer.model(), trainer.parameters(), step);
  EXPECT_FALSE(finding.first);
  EXPECT_THAT(report_text(step, finding, trainer.task(), trainer.tokenizer()),
              AllOf(HasSubstr("first    no op"), HasSubstr("sample 7\n")));
  EXPECT_EQ(nlohmann::json::parse(
                report_json(step, finding, trainer.task(), trainer.tokenizer()))["where"],
            "no op");
}

TEST_F(BlackBoxTest, ExaminingRepeatsTheStepToTheBit) {
  Trainer trainer(config({"train.accumulate=2"})), again(config({"train.accumulate=2"}));
  const RefusedStep step = refused(trainer, trainer.step());
  examine(again.task(), again.model(), again.parameters(), step);
  EXPECT_EQ(again.parameters().gradients().to_vector<float>(),
            trainer.parameters().gradients().to_vector<float>());
}

TEST_F(BlackBoxTest, ExaminingKeepsWeightsAndThreads) {
  Trainer trainer(config());
  const std::vector<float> before = trainer.parameters().values().to_vector<float>();
  RefusedStep step = refused(trainer, trainer.step());
  const std::vector<float> after = trainer.parameters().values().to_vector<float>();
  const int count = threads();
  step.threads = count + 1;
  examine(trainer.task(), trainer.model(), trainer.parameters(), step);
  EXPECT_EQ(threads(), count);
  EXPECT_EQ(trainer.parameters().values().to_vector<float>(), after);
  EXPECT_NE(before, after);
}

TEST_F(BlackBoxTest, ARunStopsWithAReportAndABundle) {
  stop_a_run();
  EXPECT_THAT(error_, AllOf(HasSubstr("at step 3 the loss is nan and the gradient norm nan"),
                            HasSubstr("linear in blocks.1.feed_forward.up"),
                            HasSubstr("folio replay"), Not(HasSubstr("\n"))));
  const fs::path bundle = path("run/blackbox/step_3");
  const std::string report = read_text(bundle / "report.txt");
  EXPECT_THAT(said_, EndsWith(report));
  EXPECT_THAT(report, HasSubstr("read blocks.1.feed_forward.up.weight"));
  write_report({{path("run")}, path("report.html"), {}});
  EXPECT_THAT(read_text(path("report.html")),
              HasSubstr("a step that was not finite, 3: see blackbox/step_3"));
  // The checkpoint is that of the step before.
  EXPECT_EQ(contents_of(bundle / "checkpoint"), contents_of(path("run/checkpoints/step_2")));
}

TEST_F(BlackBoxTest, ReplayNeedsNeitherTextNorRun) {
  stop_a_run();
  const std::string report = read_text(path("run/blackbox/step_3/report.txt"));
  EXPECT_THAT(replayed(path("run")), HasSubstr(report + "the same as recorded: linear in "));
  fs::rename(path("run/blackbox/step_3"), path("elsewhere"));
  fs::remove_all(path("run"));
  fs::remove(text_);
  const int count = threads();
  for (const int other : {1, 2, 3}) {
    set_threads(other);
    EXPECT_THAT(replayed(path("elsewhere")),
                EndsWith(report + "the same as recorded: linear in blocks.1.feed_forward.up\n"));
  }
  set_threads(count);
}

TEST_F(BlackBoxTest, ALaterStopReplacesTheBundleOfItsStepAndReplayTakesTheLatest) {
  stop_a_run();
  const auto first = contents_of(path("run/blackbox"));
  write_file(path("run/blackbox/step_3/report.txt"), "old");
  train_into("run", {.resume = true});
  EXPECT_EQ(contents_of(path("run/blackbox")), first);
  fs::copy(path("run/blackbox/step_3"), path("run/blackbox/step_20"), fs::copy_options::recursive);
  fs::create_directory(path("run/blackbox/step_x"));
  EXPECT_EQ(read_bundle(path("run")).directory, path("run/blackbox/step_20"));
}

TEST_F(BlackBoxTest, AnotherFindingThanRecordedIsAnError) {
  stop_a_run();
  const fs::path file = path("run/blackbox/step_3/step.json");
  auto object = nlohmann::ordered_json::parse(read_text(file));
  object["where"] = "linear in blocks.0.feed_forward.up";
  object.erase("checksum");
  write_file(file, sealed_json(object));
  EXPECT_THAT(error_of([&] { replayed(path("run")); }),
              HasSubstr("linear in blocks.1.feed_forward.up is found, but linear in "
                        "blocks.0.feed_forward.up was recorded"));
}

TEST_F(BlackBoxTest, EveryMissingOrDamagedFileIsNamed) {
  stop_a_run();
  const fs::path bundle = path("run/blackbox/step_3");
  std::vector<fs::path> files;
  for (const auto& entry : fs::recursive_directory_iterator(bundle)) {
    if (entry.is_regular_file()) files.push_back(entry.path());
  }
  ASSERT_EQ(files.size(), 10u);
  for (const fs::path& file : files) {
    const std::string content = read_text(file);
    fs::remove(file);
    EXPECT_THAT(error_of([&] { read_bundle(bundle); }), HasSubstr(file.string()));
    write_file(file, content.substr(0, content.size() / 2));
    EXPECT_THAT(error_of([&] { read_bundle(bundle); }), HasSubstr(file.string()));
    for (const size_t divisor : {3u, 2u}) {
      std::string flipped = content;
      flipped[content.size() / divisor] ^= 4;
      write_file(file, flipped);
      EXPECT_THAT(error_of([&] { read_bundle(bundle); }), HasSubstr(file.string()));
    }
    write_file(file, content);
  }
  EXPECT_EQ(read_bundle(bundle).where, "linear in blocks.1.feed_forward.up");
  fs::remove_all(bundle / "checkpoint");
  EXPECT_THAT(error_of([&] { read_bundle(bundle); }), HasSubstr("checkpoint"));
  EXPECT_THAT(error_of([&] { read_bundle(path("nowhere")); }), HasSubstr("no such directory"));
  EXPECT_THAT(error_of([&] { read_bundle(path("run/checkpoints")); }), HasSubstr("no bundle here"));
}

TEST_F(BlackBoxTest, ABundleThatCannotBeWrittenDoesNotHideTheReport) {
  break_at("run", 2, "blocks.1.feed_forward.up.weight", 21, {"train.checkpoint_every=10"});
  write_file(path("run/blackbox"), "in the way");
  const std::string said = train_into("run", {.resume = true});
  EXPECT_THAT(error_, AllOf(HasSubstr("linear in blocks.1.feed_forward.up"),
                            HasSubstr("no bundle could be written"), HasSubstr("blackbox")));
  EXPECT_THAT(said, HasSubstr("read blocks.1.feed_forward.up.weight"));
  EXPECT_EQ(read_text(path("run/blackbox")), "in the way");
}

}  // namespace
}  // namespace folio
