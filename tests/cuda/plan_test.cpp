// The plan of a run on a GPU compared with what the run allocates there.
#include "folio/inspect/plan.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <initializer_list>
#include <string>
#include <vector>

#include "folio/inference/generate.h"
#include "folio/models/gpt.h"
#include "folio/tensor/cuda.h"
#include "folio/train/gpu_step.h"
#include "folio/train/trainer.h"
#include "support/temporary.h"
#include "support/tiny_run.h"
#ifdef FOLIO_CUDA_HOST
#include "work.h"
#endif

namespace folio {
namespace {

class GpuPlan : public testing::Test {
 protected:
  // Long enough that no validation batch of a longer context is short.
  GpuPlan() { write_file(text_, tiny_text(24000)); }

  Config config(const std::vector<std::string>& more) const {
    std::vector<std::string> overrides = {"train.device=cuda",  "model.layers=2",   "model.heads=2",
                                          "model.width=32",     "model.context=24", "train.batch=8",
                                          "train.sample_at=[0]"};
    overrides.insert(overrides.end(), more.begin(), more.end());
    return tiny_config(text_, overrides);
  }

  static int64_t sum(const Plan& plan, std::initializer_list<const char*> categories) {
    int64_t bytes = 0;
    for (const char* category : categories) {
      const auto line = std::ranges::find(plan.memory, category, &PlanLine::category);
      EXPECT_NE(line, plan.memory.end()) << category;
      if (line != plan.memory.end()) bytes += line->bytes;
    }
    return bytes;
  }

  /// What a step takes besides parameters, gradients and moments.
  static int64_t step_bytes(const Plan& plan) {
    return sum(plan,
               {"activations kept for the backward pass", "gradients of activations, scratch"});
  }

  static double ratio(int64_t planned, size_t measured) {
    return static_cast<double>(planned) / static_cast<double>(measured);
  }

  TemporaryDirectory directory_;
  std::filesystem::path text_ = directory_.path() / "text.txt";
};

TEST_F(GpuPlan, IsWhatARunAllocates) {
  Trainer(config({}))
      .step();  // the library's workspace is the process's, from its first product on
  for (const std::vector<std::string>& more : {
           std::vector<std::string>{},
           {"train.precision=bf16"},
           {"train.precision=bf16", "model.dropout=0", "optimizer.name=sgd"},
           {"train.accumulate=2", "model.positions=sinusoidal", "train.steps_in_flight=2"},
           {"train.precision=bf16", "train.recompute=block", "model.bias=true"},
           // The masks of attention are larger than all else.
           {"train.precision=bf16", "model.context=128", "model.heads=4", "model.layers=1"},
       }) {
    SCOPED_TRACE(fmt::format("{}", fmt::join(more, " ")));
    cuda::pool().trim();
#ifdef FOLIO_CUDA_HOST
    const size_t before = cuda_host::device_bytes_now();
    cuda_host::begin_new_peak();
#endif
    const auto resident = cuda::pool().statistics().reserved_bytes;
    Trainer trainer(config(more));
    const auto parameters = cuda::pool().statistics().reserved_bytes - resident;
    for (int i = 0; i < 4; ++i) trainer.step();
    const auto with_batches = cuda::pool().statistics().reserved_bytes - resident;
    trainer.evaluate(2);
    generate(as_language_model(trainer.model(), "the test"), trainer.tokenizer(), "",
             {.max_tokens = 3});
    const auto all = cuda::pool().statistics().reserved_bytes - resident;

    const Plan plan = make_plan(trainer.config(), trainer.tokenizer().vocabulary());
    const int64_t weights = sum(plan, {"weights", "gradients", "optimizer moments"});
    EXPECT_NEAR(ratio(weights, parameters), 1.0, 0.05);
    // Even the smallest block takes 64 bytes.
    EXPECT_NEAR(static_cast<double>(sum(plan, {"batches on the GPU"})),
                static_cast<double>(with_batches - parameters), 2048.0);
    EXPECT_NEAR(ratio(sum(plan, {"validation and samples between steps"}), all - with_batches), 1.0,
                0.05);
    EXPECT_NEAR(
        ratio(step_bytes(plan), dynamic_cast<GpuStep&>(trainer.runner()).memory().reserved_bytes),
        1.0, 0.05);
#ifdef FOLIO_CUDA_HOST
    const int64_t total = plan.memory_bytes() - sum(plan, {"workspace of matrix products"});
    EXPECT_NEAR(ratio(total, cuda_host::device_bytes_at_peak() - before), 1.0, 0.05);
#endif
  }
}

TEST_F(GpuPlan, AllocatesAndRunsNothing) {
  const Config c = config({"train.precision=bf16"});
  { Trainer trainer(c); }  // the libraries' own memory is the process's
  const auto before = cuda::pool().statistics();
  make_plan(c, 65);
  EXPECT_EQ(cuda::pool().statistics().reserved_bytes, before.reserved_bytes);
  EXPECT_EQ(cuda::pool().statistics().live_bytes, before.live_bytes);
  EXPECT_FALSE(cuda::is_dry_run());
}

// They are scratch, which a step has again for other things: here nothing else is as large.
TEST_F(GpuPlan, KnowsTheMasksOfAttention) {
  Config c = config({"train.precision=bf16", "train.batch=64", "model.context=512",
                     "model.width=64", "model.heads=8"});
  const int64_t mask = int64_t{64} * 8 * 512 * 512 * 2;
  const int64_t dropping = step_bytes(make_plan(c, 65));
  EXPECT_GE(dropping, mask);
  c.model.as<GptConfig>().dropout = 0.0;
  const int64_t plain = step_bytes(make_plan(c, 65));
  EXPECT_GE(dropping - plain, mask * 9 / 10);
}

}  // namespace
}  // namespace folio
