// Training in bf16. ctest runs these twice: as the CPU multiplies, and as on a CPU without bf16.
#include "folio/train/precision.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "folio/data/load_text.h"
#include "folio/data/token_batches.h"
#include "folio/kernels/kernels.h"
#include "folio/kernels/process.h"
#include "folio/models/gpt.h"
#include "folio/run/checkpoint.h"
#include "folio/train/trainer.h"
#include "support/temporary.h"
#include "support/tiny_run.h"

namespace folio {
namespace {

using testing::AllOf;
using testing::HasSubstr;

TEST(Precision, AutoIsBf16WhereTheCpuMultipliesIt) {
  EXPECT_EQ(computing_type("auto", true), DType::bf16);
  EXPECT_EQ(computing_type("auto", false), DType::f32);
  for (const bool able : {true, false}) EXPECT_EQ(computing_type("f32", able), DType::f32);
  EXPECT_EQ(computing_type("bf16", true), DType::bf16);
}

TEST(Precision, Bf16IsRefusedElsewhereWithTheReason) {
  EXPECT_THAT(error_of([] { computing_type("bf16", false); }),
              AllOf(HasSubstr("train.precision: "), HasSubstr("does not multiply bf16"),
                    HasSubstr("use precision: auto or f32")));
  EXPECT_THAT(error_of([] { computing_type("half", true); }), HasSubstr("half is not known"));
}

class PrecisionTest : public ::testing::Test {
 protected:
  PrecisionTest() { write_file(text_, tiny_text()); }
  Config config(const std::vector<std::string>& overrides = {}) const {
    return tiny_config(text_, overrides);
  }

  TemporaryDirectory directory_;
  std::filesystem::path text_ = directory_.path() / "text.txt";
};

TEST_F(PrecisionTest, ATrainerComputesAsItsConfigSays) {
  EXPECT_EQ(Trainer(config()).parameters().dtype(), DType::f32);
  const Config bf16 = config({"train.precision=bf16"}),
               automatic = config({"train.precision=auto"});
  if (multiplies_bf16(Device::cpu)) {
    EXPECT_EQ(Trainer(bf16).parameters().dtype(), DType::bf16);
    EXPECT_EQ(Trainer(automatic).parameters().dtype(), DType::bf16);
  } else {
    EXPECT_THAT(error_of([&] { Trainer trainer(bf16); }), HasSubstr("does not multiply bf16"));
    EXPECT_EQ(Trainer(automatic).parameters().dtype(), DType::f32);
  }
}

/// A trainer's work, on any CPU.
struct TinyTraining {
  Config config;
  std::unique_ptr<Tokenizer> tokenizer;
  std::vector<int32_t> tokens;
  ParameterStore parameters;
  std::unique_ptr<Gpt> model;
  std::unique_ptr<Optimizer> optimizer;
  Tape tape;

  TinyTraining(const Config& c, DType dtype) : config(c), parameters(dtype) {
    TokenizedText text = tokenize_text(config.data, config.model.context(), "text");
    tokenizer = std::move(text.tokenizer);
    tokens = text.corpus.tokens.to_vector();
    GptConfig options = config.model.as<GptConfig>();
    options.vocabulary = tokenizer->vocabulary();
    model = std::make_unique<Gpt>(Scope(parameters), options);
    parameters.initialize(config.train.seed);
    optimizer = std::make_unique<Optimizer>(parameters, config.optimizer);
    tape.set_training(true);
  }

  /// The losses of steps [first, end).
  std::vector<double> train(int64_t first, int64_t end) {
    const BatchSampler sampler(tokens, config.train.batch, config.model.context(), Sampling::random,
                               1);
    std::vector<double> losses;
    for (int64_t step = first; step < end; ++step) {
      tape.set_context({.seed = config.train.seed, .step = static_cast<uint32_t>(step)});
      const Batch batch = sampler.draw(step, 0, config.train.batch);
      const Variable loss = model->loss(tape, batch["tokens"], batch["targets"]);
      losses.push_back(loss.value.item());
      tape.backward(loss);
      tape.clear();
      optimizer->step(step, config.schedule(step));
    }
    return losses;
  }

  /// Masters, copies and moments, byte by byte.
  std::string bytes() {
    std::string all;
    const auto append = [&](const Tensor& slab) {
      all.append(static_cast<const char*>(slab.raw()), static_cast<size_t>(slab.bytes()));
    };
    append(parameters.values());
    append(parameters.rounded_values());
    for (const OptimizerState& state : optimizer->state()) append(state.slab);
    return all;
  }
};

TEST_F(PrecisionTest, InBf16AGptLearnsAsInF32) {
  const std::vector<std::string> longer = {"train.steps=150", "model.bias=true"};
  TinyTraining narrow(config(longer), DType::bf16), wide(config(longer), DType::f32);
  const std::vector<double> a = narrow.train(0, 150), b = wide.train(0, 150);
  EXPECT_LT(b.back(), 0.75 * b.front());
  double difference = 0.0;  // of the last fifty steps on average: single ones are noisy
  for (size_t i = 0; i < a.size(); ++i) {
    ASSERT_NEAR(a[i], b[i], 0.15) << "step " << i;
    if (i >= 100) difference += (a[i] - b[i]) / 50;
  }
  EXPECT_NEAR(a.front(), b.front(), 5e-3);
  EXPECT_NEAR(difference, 0.0, 0.03);
}

TEST_F(PrecisionTest, InBf16TheBitsAreTheSameForAnyRunAndAnyThreads) {
  const int before = threads();
  std::string first;
  for (const int count : {1, 1, 2, 3}) {
    set_threads(count);
    TinyTraining run(config({"model.width=64", "model.context=32", "train.batch=12"}), DType::bf16);
    run.train(0, 4);
    if (first.empty()) first = run.bytes();
    EXPECT_TRUE(run.bytes() == first) << count << " threads";
  }
  set_threads(before);
}

TEST_F(PrecisionTest, InBf16AResumedRunHasTheSameBits) {
  TinyTraining whole(config(), DType::bf16), part(config(), DType::bf16),
      resumed(config(), DType::bf16);
  whole.train(0, 10);
  part.train(0, 5);
  const std::filesystem::path saved = directory_.path() / "step_5";
  save_checkpoint(saved, *part.model, part.parameters, *part.optimizer, *part.tokenizer,
                  part.config, {.step = 5});
  resumed.train(0, 2);  // what loading must replace, copies included
  load_parameters(saved, *resumed.model, resumed.parameters);
  load_progress(saved, resumed.parameters, *resumed.optimizer);
  EXPECT_TRUE(resumed.bytes() == part.bytes());
  resumed.train(5, 10);
  EXPECT_TRUE(resumed.bytes() == whole.bytes());
}

TEST_F(PrecisionTest, CheckpointsHoldTheMastersSoThatF32ReadsThemToo) {
  TinyTraining narrow(config(), DType::bf16), wide(config(), DType::f32);
  narrow.train(0, 5);
  const std::filesystem::path saved = directory_.path() / "step_5";
  save_checkpoint(saved, *narrow.model, narrow.parameters, *narrow.optimizer, *narrow.tokenizer,
                  narrow.config, {.step = 5});
  load_parameters(saved, *wide.model, wide.parameters);
  EXPECT_EQ(wide.parameters.values().to_vector<float>(),
            narrow.parameters.values().to_vector<float>());
}

TEST_F(PrecisionTest, InBf16NothingIsAllocatedAfterTheFirstStep) {
  TinyTraining run(config(), DType::bf16);
  run.train(0, 1);
  const AllocatorStatistics first = allocator(Device::cpu).statistics();
  run.train(1, 6);
  EXPECT_EQ(allocator(Device::cpu).statistics().system_allocations, first.system_allocations);
  EXPECT_EQ(allocator(Device::cpu).statistics().live_bytes, first.live_bytes);
}

}  // namespace
}  // namespace folio
