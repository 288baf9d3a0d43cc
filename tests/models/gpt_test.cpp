// The GPT as a whole: first values, causality, memory, errors.
#include "folio/models/gpt.h"

#include <fmt/core.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "support/gradcheck.h"
#include "support/temporary.h"

namespace folio {
namespace {

using testing::AllOf;
using testing::Each;
using testing::HasSubstr;

constexpr GptConfig small{.vocabulary = 11, .layers = 2, .heads = 2, .width = 8, .context = 6};

TEST(Gpt, InitialValuesAreThoseOfGpt2) {
  GptConfig config = small;
  config.vocabulary = 500;
  config.layers = 3;
  config.width = 64;
  config.context = 200;
  config.bias = true;
  config.tied = false;
  ParameterStore store;
  const Gpt model(Scope(store), config);
  store.initialize(1);
  for (const Parameter& parameter : store.parameters()) {
    SCOPED_TRACE(parameter.name);
    const std::vector<double> values = values_of(parameter.value);
    if (parameter.shape.rank() == 1) {
      EXPECT_THAT(values, Each(parameter.name.ends_with(".weight") ? 1.0 : 0.0));
      continue;
    }
    double square = 0.0;
    for (double value : values) square += value * value;
    const double n = static_cast<double>(values.size());
    const bool residual =
        parameter.name.ends_with("projection.weight") || parameter.name.ends_with("down.weight");
    const double wanted = residual ? 0.02 / std::sqrt(6.0) : 0.02;
    // Five standard errors of a standard deviation.
    EXPECT_NEAR(std::sqrt(square / n), wanted, 5.0 * wanted / std::sqrt(2.0 * n));
  }
  const std::string last = "blocks.2.feed_forward.down.weight";
  EXPECT_EQ(store.find(last).shape, Shape({64, 256}));
}

TEST(Gpt, FirstLossIsThatOfGuessing) {
  ParameterStore store;
  GptConfig config = small;
  config.vocabulary = 65;
  const Gpt model(Scope(store), config);
  store.initialize(1);
  Tape tape;
  const Variable loss =
      model.loss(tape, random_indices({8, 6}, 1, 65), random_indices({8, 6}, 2, 65));
  EXPECT_NEAR(loss.value.item(), std::log(65.0), 0.05);
}

TEST(Gpt, EqualsItsLayers) {
  for (Norm norm : {Norm::pre, Norm::post}) {
    GptConfig config = small;
    config.dropout = 0.3;
    config.norm = norm;
    config.tied = false;
    ParameterStore whole(DType::f64), parts(DType::f64);
    const Gpt model(Scope(whole), config);
    // The same names and seed: the same parameters.
    const Scope scope(parts);
    const Embedding table(scope / "token_embedding", 11, 8);
    const PositionalEncoding positions(scope / "position_embedding", Positions::learned, 6, 8);
    const BlockOptions block{.width = 8,
                             .heads = config.heads,
                             .dropout = 0.3,
                             .norm = norm,
                             .residual_init = Init::normal(0.02 / 2.0)};
    const Block first(scope / "blocks.0", block), second(scope / "blocks.1", block);
    const LayerNorm final_norm(scope / "final_norm", 8, false);
    const Linear output(scope / "output", 8, 11, false);
    whole.initialize(1);
    parts.initialize(1);
    Tape tape;
    tape.set_training(true);
    const Tensor tokens = random_indices({2, 6}, 15, 11);
    const Variable embedded =
        embedding(tape, tokens, table.weight->variable(), positions(table.weight->value));
    ResidualStream x{.stream = Dropout(scope / "embedding", 0.3)(tape, embedded), .update = {}};
    first(tape, x);
    second(tape, x);
    const Variable hidden = norm == Norm::pre ? x.normalize(tape, final_norm) : x.stream;
    expect_close(values_of(model.logits(tape, tokens).value), values_of(output(tape, hidden).value),
                 1e-14, "logits");
  }
}

TEST(Gpt, TiedModelHasOneTable) {
  ParameterStore tied, untied;
  GptConfig config = small;
  const Gpt one(Scope(tied), config);
  config.tied = false;
  const Gpt two(Scope(untied), config);
  EXPECT_EQ(untied.numel(), tied.numel() + 11 * 8);
  EXPECT_EQ(untied.find("output.weight").shape, Shape({11, 8}));
}

TEST(Gpt, LaterTokensDoNotChangeEarlierLogits) {
  for (DType dtype : {DType::f32, DType::f64}) {
    for (Norm norm : {Norm::pre, Norm::post}) {
      GptConfig config = small;
      config.norm = norm;
      ParameterStore store(dtype);
      const Gpt model(Scope(store), config);
      store.initialize(1);
      randomize(store, 1, 0.5);
      Tape tape;
      const Tensor tokens = random_indices({2, 6}, 3, 11);
      const std::vector<double> before = values_of(model.logits(tape, tokens).value);
      for (int64_t changed = 0; changed < 6; ++changed) {
        SCOPED_TRACE(
            fmt::format("{} norm {} token {}", name_of(dtype), static_cast<int>(norm), changed));
        Tensor other = Tensor::from({2, 6}, tokens.to_vector<int32_t>());
        int32_t& token = other.data<int32_t>()[6 + changed];  // of the second sample
        token = (token + 1) % 11;
        const std::vector<double> after = values_of(model.logits(tape, other).value);
        const int64_t same = (6 + changed) * 11;  // bitwise
        EXPECT_TRUE(std::equal(before.begin(), before.begin() + same, after.begin()));
        for (int64_t t = changed; t < 6; ++t) {  // and everything from there on does change
          const int64_t row = (6 + t) * 11;
          EXPECT_FALSE(
              std::equal(before.begin() + row, before.begin() + row + 11, after.begin() + row));
        }
      }
    }
  }
}

TEST(Gpt, ShorterInputsGiveTheSameLogits) {
  for (Positions positions : {Positions::learned, Positions::sinusoidal}) {
    GptConfig config = small;
    config.positions = positions;
    ParameterStore store(DType::f64);
    const Gpt model(Scope(store), config);
    store.initialize(1);
    randomize(store, 1, 0.5);
    Tape tape;
    const Tensor tokens = random_indices({1, 6}, 5, 11);
    const std::vector<double> all = values_of(model.logits(tape, tokens).value);
    const std::vector<double> part = values_of(model.logits(tape, tokens.view(0, {1, 4})).value);
    expect_close(part, {all.begin(), all.begin() + 44}, 1e-13, "first four");
  }
}

TEST(Gpt, DropoutActsWhileTrainingOnly) {
  GptConfig with = small;
  with.dropout = 0.4;
  const auto logits = [](const GptConfig& config, bool training) {
    ParameterStore store(DType::f64);
    const Gpt model(Scope(store), config);
    store.initialize(1);
    Tape tape;
    tape.set_training(training);
    return values_of(model.logits(tape, random_indices({2, 6}, 6, 11)).value);
  };
  EXPECT_EQ(logits(with, false), logits(small, false));
  EXPECT_EQ(logits(with, true), logits(with, true));
  EXPECT_NE(logits(with, true), logits(with, false));
}

TEST(Gpt, StepsAfterTheFirstAllocateNothingAndLeaveNothing) {
  GptConfig config = small;
  config.dropout = 0.1;
  ParameterStore store;
  const Gpt model(Scope(store), config);
  store.initialize(1);
  const Tensor tokens = random_indices({2, 6}, 7, 11), targets = random_indices({2, 6}, 8, 11);
  const size_t live = allocator(Device::cpu).statistics().live_blocks;
  Tape tape;
  tape.set_training(true);
  uint64_t requests = 0;
  for (uint32_t step = 0; step < 4; ++step) {
    tape.set_context({.seed = 1, .step = step, .first_sample = 0});
    store.start_gradients();
    tape.backward(model.loss(tape, tokens, targets, 0.1));
    store.finish_gradients();
    tape.clear();
    const AllocatorStatistics statistics = allocator(Device::cpu).statistics();
    EXPECT_EQ(statistics.live_blocks, live);
    if (step > 0) {
      EXPECT_EQ(statistics.system_allocations, requests);
    }
    requests = statistics.system_allocations;
  }
}

TEST(Gpt, SameStepGivesTheSameBits) {
  GptConfig config = small;
  config.dropout = 0.1;
  const auto gradients = [&] {
    ParameterStore store;
    const Gpt model(Scope(store), config);
    store.initialize(1);
    Tape tape;
    tape.set_training(true);
    tape.backward(model.loss(tape, random_indices({2, 6}, 9, 11), random_indices({2, 6}, 10, 11)));
    store.finish_gradients();
    return values_of(store.gradients());
  };
  EXPECT_EQ(gradients(), gradients());
}

TEST(Gpt, RefusesWrongInputs) {
  ParameterStore store;
  const Gpt model(Scope(store), small);
  store.initialize(1);
  Tape tape;
  const auto error = [&](const Tensor& tokens) {
    return error_of([&] { model.logits(tape, tokens); });
  };
  EXPECT_THAT(error(random_indices({1, 7}, 11, 11)),
              AllOf(HasSubstr("gpt: "), HasSubstr("(1, 7)"), HasSubstr("context, 6")));
  EXPECT_THAT(error(random_indices({6}, 12, 11)), AllOf(HasSubstr("gpt: "), HasSubstr("(6)")));
  EXPECT_THAT(error(Tensor()), AllOf(HasSubstr("gpt: "), HasSubstr("empty")));
  EXPECT_THAT(error(Tensor::from<int32_t>({1, 2}, {3, 11})),
              AllOf(HasSubstr("element 1 of tokens is 11"), HasSubstr("below 11")));
  EXPECT_THAT(error(Tensor::from<int32_t>({1, 2}, {-1, 3})), HasSubstr("is -1"));
  const Tensor tokens = random_indices({1, 3}, 13, 11);
  EXPECT_THAT(error_of([&] {
                model.loss(tape, tokens, random_indices({3, 1}, 14, 11));
              }),
              AllOf(HasSubstr("cross_entropy: "), HasSubstr("(1, 3, 11)"), HasSubstr("(3, 1)")));
  EXPECT_THAT(error_of([&] {
                model.loss(tape, tokens, Tensor::from<int32_t>({1, 3}, {1, 2, 99}));
              }),
              HasSubstr("target 2 is 99"));
}

TEST(Gpt, RefusesImpossibleConfigs) {
  const auto error = [](const std::function<void(GptConfig&)>& change) {
    GptConfig config = small;
    change(config);
    ParameterStore store;
    return error_of([&] { Gpt model(Scope(store), config); });
  };
  EXPECT_THAT(error([](GptConfig& c) { c.heads = 3; }),
              AllOf(HasSubstr("3 heads"), HasSubstr("width 8")));
  EXPECT_THAT(error([](GptConfig& c) { c.vocabulary = 0; }), HasSubstr("vocabulary 0"));
  EXPECT_THAT(error([](GptConfig& c) { c.layers = 0; }), HasSubstr("layers 0"));
  EXPECT_THAT(error([](GptConfig& c) { c.heads = 0; }), HasSubstr("heads 0"));
  EXPECT_THAT(error([](GptConfig& c) { c.width = -8; }), HasSubstr("width -8"));
  EXPECT_THAT(error([](GptConfig& c) { c.context = 0; }), HasSubstr("context 0"));
}

}  // namespace
}  // namespace folio
