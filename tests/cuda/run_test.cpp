// The train verb on the GPU: its run directory, and how a run continues.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "folio/inference/generate.h"
#include "folio/run/loaded_run.h"
#include "support/run_fixture.h"

namespace folio {
namespace {

using testing::AllOf;
using testing::HasSubstr;

class GpuRun : public RunTest {
 protected:
  const std::vector<std::string> gpu_ = {"train.device=cuda", "train.checkpoint_every=10",
                                         "train.sample_at=[0]", "train.sample_tokens=20"};
};

TEST_F(GpuRun, TenStepsAndTenMoreAreTwenty) {
  const std::string printed = train_into("whole", {.overrides = gpu_});
  EXPECT_THAT(printed,
              AllOf(HasSubstr("device  cuda, f32"), HasSubstr("model FLOP utilization  ")));
  train_into("again", {.overrides = gpu_});
  train_into("parts", {.overrides = gpu_, .stop_at = 10});
  train_into("parts", {.resume = true});
  for (const char* run : {"again", "parts"}) {
    for (const char* step : {"checkpoints/step_10", "checkpoints/step_20", "checkpoints/best"}) {
      EXPECT_EQ(files_in(path("whole") / step), files_in(path(run) / step)) << run << " " << step;
    }
    EXPECT_EQ(metrics_of(path("whole")), metrics_of(path(run)));
  }
}

TEST_F(GpuRun, ContinuesAndSamplesOnTheOtherDevice) {
  train_into("run", {.overrides = gpu_, .stop_at = 10});
  const auto here = load_run(path("run"), "last");
  EXPECT_EQ(here->parameters.device(), Device::cuda);
  const std::string text = generate(as_language_model(*here->model, "the test"), *here->tokenizer,
                                    "the king", {.max_tokens = 20, .temperature = 0.0});
  EXPECT_THAT(train_into("run", {.overrides = {"train.device=cpu"}, .resume = true}),
              HasSubstr("device  cpu"));
  const auto there = load_run(path("run"), "10");
  EXPECT_EQ(there->parameters.device(), Device::cpu);
  EXPECT_EQ(generate(as_language_model(*there->model, "the test"), *there->tokenizer, "the king",
                     {.max_tokens = 20, .temperature = 0.0}),
            text);
}

}  // namespace
}  // namespace folio
