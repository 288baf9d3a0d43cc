// Several ranks train as one process does. Here ranks are threads; tests/comm has them as
// processes.
#include <fmt/core.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "folio/comm/placement.h"
#include "folio/inference/generate.h"
#include "folio/tensor/error.h"
#include "folio/train/rank_agreement.h"
#include "folio/train/trainer.h"
#include "support/temporary.h"
#include "support/thread_ranks.h"
#include "support/tiny_run.h"

namespace folio {
namespace {

using Overrides = std::vector<std::string>;

/// What a training run leaves.
struct Outcome {
  std::vector<float> weights;
  std::vector<std::vector<float>> moments;
  std::vector<double> losses, norms;
  double validation_loss = 0.0;
  bool operator==(const Outcome&) const = default;
};

class RanksTest : public ::testing::Test {
 protected:
  RanksTest() { write_file(text_, tiny_text()); }

  /// Of 20 steps on so many ranks, with dropout on.
  Outcome train_on(int count, const Overrides& overrides, DType dtype = DType::f32) const {
    std::vector<Outcome> outcomes(static_cast<size_t>(count));
    on_ranks(count, [&](Communicator& ranks) {
      Overrides all = {"train.batch=12", "train.threads=1"};
      all.insert(all.end(), overrides.begin(), overrides.end());
      Trainer trainer(tiny_config(text_, all), nullptr, ranks, Device::cpu, dtype);
      Outcome& outcome = outcomes[static_cast<size_t>(ranks.rank())];
      for (int step = 0; step < 20; ++step) {
        const StepResult result = trainer.step();
        outcome.losses.push_back(result.loss);
        outcome.norms.push_back(result.gradient_norm);
        EXPECT_EQ(result.tokens, 12 * trainer.config().model.context());
      }
      outcome.validation_loss = trainer.evaluate(0).loss;
      outcome.weights = trainer.parameters().values().to_vector<float>();
      const UnshardedState whole(trainer);
      if (!ranks.is_root()) return;
      for (const OptimizerState& state : trainer.optimizer().state()) {
        outcome.moments.push_back(state.slab.to_vector<float>());
      }
    });
    for (Outcome& outcome : outcomes) {  // all ranks know the same
      outcome.moments = outcomes[0].moments;
      EXPECT_TRUE(outcome == outcomes[0]);
    }
    return outcomes[0];
  }

  TemporaryDirectory directory_;
  std::filesystem::path text_ = directory_.path() / "text.txt";
};

Overrides plus(Overrides a, const Overrides& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

double relative_distance(const std::vector<float>& a, const std::vector<float>& b) {
  double squares = 0.0, distance = 0.0;
  for (size_t i = 0; i < a.size(); ++i) {
    squares += double{a[i]} * double{a[i]};
    distance += (double{a[i]} - double{b[i]}) * (double{a[i]} - double{b[i]});
  }
  return std::sqrt(distance / squares);
}

const Overrides ordered = {"train.reduce=ordered", "train.accumulate=4"};
// Large enough for several pieces of the norm, so that each rank has a shard.
const Overrides large = {"model.width=64", "train.bucket_mb=0.2"};

TEST_F(RanksTest, OrderedGivesTheBitsOfOneProcess) {
  const Outcome one = train_on(1, ordered);
  for (int count : {2, 3, 4}) EXPECT_TRUE(train_on(count, ordered) == one) << count << " ranks";
}

TEST_F(RanksTest, OverlapAndBucketsDoNotChangeABit) {
  for (const char* reduce : {"train.reduce=fast", "train.reduce=ordered"}) {
    const Overrides base = plus(ordered, {reduce});
    const Outcome whole = train_on(3, plus(base, {"train.overlap=false"}));
    for (const char* bucket : {"0.0005", "0.001", "0.0073", "25"}) {
      const Overrides sized = {fmt::format("train.bucket_mb={}", bucket)};
      EXPECT_TRUE(train_on(3, plus(base, sized)) == whole) << reduce << ", " << bucket;
    }
  }
}

TEST_F(RanksTest, ShardsOfTheOptimizerDoNotChangeABit) {
  const Outcome one = train_on(1, plus(ordered, large));
  for (int count : {2, 3, 4}) {
    EXPECT_TRUE(train_on(count, plus(ordered, plus(large, {"optimizer.shard=true"}))) == one)
        << count << " ranks";
  }
  for (const char* name : {"optimizer.name=sgd", "optimizer.clip=0.1"}) {
    const Overrides fast = plus(large, {name});
    EXPECT_TRUE(train_on(3, plus(fast, {"optimizer.shard=true"})) == train_on(3, fast)) << name;
  }
}

TEST_F(RanksTest, ShardsInBf16) {
  const Overrides base = plus(ordered, large);
  const Outcome one = train_on(1, base, DType::bf16);
  EXPECT_TRUE(train_on(3, base, DType::bf16) == one);
  EXPECT_TRUE(train_on(3, plus(base, {"optimizer.shard=true"}), DType::bf16) == one);
}

TEST_F(RanksTest, AShardIsAPart) {
  on_ranks(4, [&](Communicator& ranks) {
    const Overrides shard_all = plus(large, {"optimizer.shard=true", "train.bucket_mb=25"});
    Trainer trainer(tiny_config(text_, shard_all), nullptr, ranks);
    trainer.step();
    const int64_t shard = trainer.optimizer().state()[0].slab.numel();
    EXPECT_GT(shard, 0);
    EXPECT_LT(shard, trainer.parameters().numel() / 2);
  });
}

TEST_F(RanksTest, FastStaysWithinRounding) {
  // Adam divides by the gradient's own size, and so makes much of rounding in small gradients; on
  // one process, too, where micro-batches are added within matrix products. SGD does not.
  const Overrides sgd = {"optimizer.name=sgd", "optimizer.lr=0.1"};
  const Outcome one = train_on(1, sgd);
  for (int count : {2, 3, 4, 5}) {  // 5 does not divide 12
    const Outcome several = train_on(count, sgd);
    EXPECT_LE(relative_distance(several.weights, one.weights), 1e-6) << count << " ranks";
    EXPECT_NEAR(several.losses.front(), one.losses.front(), 1e-6) << count << " ranks";
  }
}

TEST_F(RanksTest, MicroBatchesOnRanksAreAllComputed) {
  const Overrides sgd = {"optimizer.name=sgd", "optimizer.lr=0.1"};
  const Outcome one = train_on(1, sgd);
  // Ranks of 6, 4, 3 and 2 or 3 samples, in micro-batches of 2: the last may be short.
  for (int count : {2, 3, 4, 5}) {
    const Outcome several = train_on(count, plus(sgd, {"train.accumulate=6"}));
    EXPECT_LE(relative_distance(several.weights, one.weights), 1e-6) << count << " ranks";
  }
}

TEST_F(RanksTest, RecomputingActivationsDoesNotChangeABit) {
  const Outcome plain = train_on(3, ordered);
  EXPECT_TRUE(train_on(3, plus(ordered, {"train.recompute=block"})) == plain);
}

TEST_F(RanksTest, RefusalsAreTheSameOnAllRanks) {
  on_ranks(3, [&](Communicator& ranks) {
    Trainer trainer(tiny_config(text_, {"train.on_non_finite=skip"}), nullptr, ranks);
    trainer.step();
    const auto before = trainer.parameters().values().to_vector<float>();
    if (ranks.rank() == 1) trainer.parameters().parameters()[0].value.data<float>()[0] = NAN;
    const StepResult result = trainer.step();
    EXPECT_EQ(result.refusal, Refusal::not_finite) << "rank " << ranks.rank();
    if (ranks.rank() == 1) return;
    EXPECT_EQ(trainer.parameters().values().to_vector<float>(), before);
  });
}

TEST_F(RanksTest, SamplesAreSharedOut) {
  const SamplingOptions options{.max_tokens = 5, .seed = 3};
  Trainer alone(tiny_config(text_));
  const auto writer = [](const Trainer& trainer) -> const LanguageModel& {
    return as_language_model(trainer.model(), "the test");
  };
  for (const int64_t count : {1, 2, 5}) {
    const auto texts = generate_samples(writer(alone), alone.tokenizer(), "the", options, count);
    on_ranks(3, [&](Communicator& ranks) {
      Trainer trainer(tiny_config(text_), nullptr, ranks);
      EXPECT_EQ(
          generate_samples(writer(trainer), trainer.tokenizer(), "the", options, count, ranks),
          texts);
    });
  }
}

TEST_F(RanksTest, TooManyRanks) {
  const auto error_of = [&](int count, const Overrides& overrides) -> std::string {
    try {
      train_on(count, overrides);
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  };
  EXPECT_THAT(error_of(5, ordered),
              ::testing::AllOf(::testing::HasSubstr("train.accumulate"),
                               ::testing::HasSubstr("5 ranks"), ::testing::HasSubstr("fast")));
  EXPECT_THAT(error_of(4, {"train.batch=3"}), ::testing::HasSubstr("3 samples are too few"));
}

TEST_F(RanksTest, WeightsThatDifferNameTheMachine) {
  const auto told = [&](int count, int bad) {
    std::vector<std::string> errors(static_cast<size_t>(count));
    on_ranks(count, [&](Communicator& ranks) {
      Trainer trainer(tiny_config(text_), nullptr, ranks);
      if (ranks.rank() == bad) trainer.parameters().values().data<float>()[5] += 1.0F;
      try {
        require_same_weights(trainer.parameters(), ranks);
      } catch (const Error& error) {
        errors[static_cast<size_t>(ranks.rank())] = error.what();
      }
    });
    return errors;
  };
  using ::testing::ElementsAre, ::testing::HasSubstr, ::testing::IsEmpty;
  const auto alone = HasSubstr("differ from those of most ranks; the memory or processor of " +
                               machine_name() + " is at fault");
  EXPECT_THAT(told(3, -1), ElementsAre(IsEmpty(), IsEmpty(), IsEmpty()));
  EXPECT_THAT(told(3, 1), ElementsAre(IsEmpty(), alone, IsEmpty()));
  EXPECT_THAT(told(3, 0), ElementsAre(alone, IsEmpty(), IsEmpty()));
  EXPECT_THAT(told(2, 0), ElementsAre(IsEmpty(), HasSubstr("from those of rank 0 (on ")));
}

TEST_F(RanksTest, StateOfRank0) {
  on_ranks(3, [&](Communicator& ranks) {
    Trainer trainer(tiny_config(text_), nullptr, ranks);
    if (ranks.is_root()) {
      trainer.parameters().parameters()[0].value.data<float>()[0] = 7.0F;
      trainer.optimizer().state()[1].slab.data<float>()[2] = 5.0F;
      trainer.set_steps_done(12);
    }
    trainer.broadcast_state();
    EXPECT_EQ(trainer.parameters().parameters()[0].value.data<float>()[0], 7.0F);
    EXPECT_EQ(trainer.optimizer().state()[1].slab.data<float>()[2], 5.0F);
    EXPECT_EQ(trainer.steps_done(), 12);
  });
}

}  // namespace
}  // namespace folio
