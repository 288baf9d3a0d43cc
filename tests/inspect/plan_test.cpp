#include "folio/inspect/plan.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "folio/train/trainer.h"
#include "support/temporary.h"
#include "support/tiny_run.h"

namespace folio {
namespace {

Plan plan_of(const std::vector<std::string>& overrides, int64_t vocabulary = 65) {
  return make_plan(parse_config("model: {dropout: 0.1}\n", "test", overrides), vocabulary);
}

TEST(Plan, CountsGpt2) {
  // GPT-2 124M: 124,439,808 parameters, about 798 MFLOP a token with 1,024 tokens of context.
  const Plan plan = plan_of({"model.layers=12", "model.heads=12", "model.width=768",
                             "model.context=1024", "model.bias=true"},
                            50257);
  EXPECT_EQ(plan.parameters, 124439808);
  EXPECT_NEAR(plan.flops_per_token, 798e6, 1e6);
  int64_t sum = 0;
  for (const PlanParameter& row : plan.table) sum += row.copies * row.shape.numel();
  EXPECT_EQ(sum, plan.parameters);
}

TEST(Plan, SplitsDecayFromTheRest) {
  const Plan plan = plan_of({"model.layers=3", "model.width=32", "model.heads=2"});
  EXPECT_EQ(plan.parameters - plan.decayed_parameters, (2 * 3 + 1) * 32);  // the norms' gains
  EXPECT_EQ(plan.tokens_per_step, 12 * 64);
}

/// The peak of the memory that a step really takes, in bytes.
int64_t measured_peak(const Config& config) {
  const auto before = static_cast<int64_t>(allocator(Device::cpu).statistics().live_bytes);
  Trainer trainer(config);
  trainer.step();
  allocator(Device::cpu).reset_peak();
  trainer.step();
  return static_cast<int64_t>(allocator(Device::cpu).statistics().peak_bytes) - before;
}

TEST(Plan, MemoryIsWhatAStepTakes) {
  const TemporaryDirectory directory;
  const std::filesystem::path text = directory.path() / "text.txt";
  write_file(text, tiny_text(8000));
  const std::vector<std::vector<std::string>> variants = {
      {},
      {"model.norm=post"},
      {"model.dropout=0"},
      {"model.tied=false", "model.bias=true"},
      {"model.positions=sinusoidal", "optimizer.name=sgd"},
      {"train.accumulate=4"},
      {"train.accumulate=4", "train.reduce=ordered"},
      {"train.recompute=mlp"},
      {"train.recompute=mlp", "model.norm=post"},
      {"train.recompute=block"},
      {"train.recompute=block", "model.norm=post", "model.layers=6"},
      {"model.width=16", "model.heads=2"},  // the logits matter beside the blocks
      {"model.layers=1", "model.width=128", "train.batch=32"},
      {"model.layers=4", "model.width=128", "train.batch=2"},  // the parameters matter most
      {"train.precision=auto"},                                // bf16 where the CPU multiplies it
  };
  for (const auto& variant : variants) {
    std::vector<std::string> overrides = {"model.layers=3", "model.heads=4", "model.width=64",
                                          "model.context=32", "train.batch=16"};
    overrides.insert(overrides.end(), variant.begin(), variant.end());
    const Config config = tiny_config(text, overrides);
    const auto measured = static_cast<double>(measured_peak(config));
    const int64_t vocabulary =
        CharTokenizer::build(tiny_text(8000), config.data.unknown, "text")->vocabulary();
    const auto planned = static_cast<double>(make_plan(config, vocabulary).memory_bytes());
    EXPECT_NEAR(planned / measured, 1.0, 0.1) << (variant.empty() ? "default" : variant.front());
  }
}

}  // namespace
}  // namespace folio
