// Optimizers against their formulas, on a tiny quadratic.
#include "folio/optim/optimizer.h"

#include <fmt/core.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "folio/autograd/ops.h"
#include "folio/kernels/kernels.h"
#include "support/gradcheck.h"
#include "support/temporary.h"

namespace folio {
namespace {

using testing::Each;
using testing::ElementsAre;
using testing::HasSubstr;

/// A matrix (decays) and a vector (does not), and the loss sum of curvature (x - target)^2 / 2.
struct Quadratic {
  ParameterStore store;
  Parameter& matrix;
  Parameter& vector;
  Tape tape;

  explicit Quadratic(DType dtype)
      : store(dtype),
        matrix(store.create("matrix", {2, 3}, Init::normal(1.0))),
        vector(store.create("vector", {3}, Init::normal(1.0))) {
    store.initialize(5);
  }

  static double curvature(int64_t i) { return 0.5 + 0.25 * static_cast<double>(i); }
  static double target(int64_t i) { return 0.3 * static_cast<double>(i % 3) - 0.2; }

  void backward() {
    for (Parameter* p : {&matrix, &vector}) {
      std::vector<double> targets, curvatures;
      for (int64_t i = 0; i < p->shape.numel(); ++i) {
        targets.push_back(target(p->offset + i));
        curvatures.push_back(curvature(p->offset + i));
      }
      const auto constant = [&](const std::vector<double>& values) {
        return Variable{tensor_of(p->shape, values, store.dtype())};
      };
      const Variable error = subtract(tape, p->variable(), constant(targets));
      const Variable weighted = multiply(tape, error, constant(curvatures));
      tape.backward(sum(tape, multiply(tape, error, weighted)), 0.5);
    }
    tape.clear();
  }
};

/// The same in plain doubles, element by element, from the papers.
struct ByHand {
  OptimizerConfig config;
  std::vector<double> x;
  std::vector<double> first, second;
  int64_t decayed;
  double norm = 0.0;

  ByHand(const OptimizerConfig& config, const ParameterStore& store)
      : config(config),
        x(values_of(store.values())),
        first(x.size(), 0.0),
        second(x.size(), 0.0),
        decayed(store.parameters().front().shape.numel()) {}

  void step(double lr, int t) {
    std::vector<double> g;
    norm = 0.0;
    for (size_t i = 0; i < x.size(); ++i) {
      const auto n = static_cast<int64_t>(i);
      g.push_back(Quadratic::curvature(n) * (x[i] - Quadratic::target(n)));
      norm += g[i] * g[i];
    }
    norm = std::sqrt(norm);
    const double scale = config.clip > 0.0 ? std::min(1.0, config.clip / norm) : 1.0;
    for (size_t i = 0; i < x.size(); ++i) {
      const double decay = static_cast<int64_t>(i) < decayed ? config.weight_decay : 0.0;
      double gradient = g[i] * scale;
      if (config.kind == OptimizerKind::adamw) {
        x[i] -= lr * decay * x[i];
      } else {
        gradient += decay * x[i];
      }
      first[i] = config.beta1 * first[i] +
                 (config.kind == OptimizerKind::sgd ? 1.0 : 1.0 - config.beta1) * gradient;
      if (config.kind == OptimizerKind::sgd) {
        x[i] -= lr * first[i];
        continue;
      }
      second[i] = config.beta2 * second[i] + (1.0 - config.beta2) * gradient * gradient;
      const double m = first[i] / (1.0 - std::pow(config.beta1, t));
      const double v = second[i] / (1.0 - std::pow(config.beta2, t));
      x[i] -= lr * m / (std::sqrt(v) + config.eps);
    }
  }
};

struct Case {
  const char* name;
  OptimizerKind kind;
};

class OptimizerTest : public testing::TestWithParam<Case> {};

TEST_P(OptimizerTest, FollowsItsFormula) {
  for (DType dtype : {DType::f32, DType::f64}) {
    for (double weight_decay : {0.0, 0.1}) {
      for (double clip : {0.0, 0.8}) {
        SCOPED_TRACE(fmt::format("{} decay {} clip {}", name_of(dtype), weight_decay, clip));
        const OptimizerConfig config{.kind = GetParam().kind,
                                     .beta1 = 0.8,
                                     .beta2 = 0.95,
                                     .eps = 1e-3,
                                     .weight_decay = weight_decay,
                                     .clip = clip};
        Quadratic quadratic(dtype);
        Optimizer optimizer(quadratic.store, config);
        ByHand by_hand(config, quadratic.store);
        const double tolerance = dtype == DType::f64 ? 1e-13 : 1e-5;
        for (int t = 1; t <= 8; ++t) {
          const double lr = 0.2 / t;
          quadratic.backward();
          optimizer.step(t - 1, lr);
          by_hand.step(lr, t);
          EXPECT_NEAR(optimizer.gradient_norm(), by_hand.norm, tolerance * 10.0);
          expect_close(values_of(quadratic.store.values()), by_hand.x, tolerance, "values");
        }
        expect_close(values_of(optimizer.state()[0].slab), by_hand.first, tolerance, "state");
      }
    }
  }
}

TEST_P(OptimizerTest, DecayActsOnMatricesOnly) {
  Quadratic quadratic(DType::f64);
  Optimizer optimizer(quadratic.store, {.kind = GetParam().kind, .weight_decay = 0.5});
  const std::vector<double> matrix = values_of(quadratic.matrix.value);
  const std::vector<double> vector = values_of(quadratic.vector.value);
  optimizer.step(0, 0.1);  // no gradient has arrived: nothing but the decay acts
  EXPECT_EQ(values_of(quadratic.vector.value), vector);
  const std::vector<double> after = values_of(quadratic.matrix.value);
  for (size_t i = 0; i < matrix.size(); ++i) {
    EXPECT_LT(std::abs(after[i]), std::abs(matrix[i]));
    if (GetParam().kind != OptimizerKind::adam) {
      EXPECT_NEAR(after[i], 0.95 * matrix[i], 1e-15);
    } else {  // the decay is all of the gradient, and Adam's first step is lr whatever its size
      EXPECT_NEAR(std::abs(after[i] - matrix[i]), 0.1, 1e-6);
    }
  }
}

TEST_P(OptimizerTest, ParametersThatNothingReachedHaveGradientZero) {
  Quadratic quadratic(DType::f64);
  Optimizer optimizer(quadratic.store, {.kind = GetParam().kind, .weight_decay = 0.0, .clip = 0.0});
  quadratic.backward();
  optimizer.step(0, 0.1);
  const double norm = optimizer.gradient_norm();
  // Only the vector is reached now; what the matrix had received before must not be used again.
  Tape tape;
  const Variable three{tensor_of({}, {3.0}, DType::f64)};
  tape.backward(sum(tape, multiply(tape, quadratic.vector.variable(), three)));
  optimizer.step(1, 0.1);
  EXPECT_NE(norm, optimizer.gradient_norm());
  EXPECT_NEAR(optimizer.gradient_norm(), 3.0 * std::sqrt(3.0), 1e-14);
  EXPECT_THAT(values_of(quadratic.matrix.grad), Each(0.0));
}

TEST_P(OptimizerTest, StepWithoutAnyGradientChangesNothing) {
  Quadratic quadratic(DType::f64);
  Optimizer optimizer(quadratic.store, {.kind = GetParam().kind, .weight_decay = 0.0, .clip = 1.0});
  const std::vector<double> before = values_of(quadratic.store.values());
  optimizer.step(0, 0.1);
  EXPECT_EQ(optimizer.gradient_norm(), 0.0);
  EXPECT_EQ(values_of(quadratic.store.values()), before);
}

TEST_P(OptimizerTest, RestoredStateContinuesBitForBit) {
  const OptimizerConfig config{.kind = GetParam().kind};
  Quadratic straight(DType::f32), halted(DType::f32);
  Optimizer whole(straight.store, config);
  for (int t = 0; t < 6; ++t) {
    straight.backward();
    whole.step(t, 0.05);
  }
  Optimizer first(halted.store, config);
  for (int t = 0; t < 3; ++t) {
    halted.backward();
    first.step(t, 0.05);
  }
  Optimizer second(halted.store, config);
  ASSERT_EQ(second.state().size(), first.state().size());
  for (size_t i = 0; i < second.state().size(); ++i) {
    EXPECT_EQ(second.state()[i].name, first.state()[i].name);
    const std::vector<float> saved = first.state()[i].slab.to_vector<float>();
    std::copy(saved.begin(), saved.end(), second.state()[i].slab.data<float>());
  }
  for (int t = 3; t < 6; ++t) {
    halted.backward();
    second.step(t, 0.05);
  }
  EXPECT_EQ(values_of(halted.store.values()), values_of(straight.store.values()));
}

TEST_P(OptimizerTest, StepsAllocateNothing) {
  Quadratic quadratic(DType::f32);
  Optimizer optimizer(quadratic.store, {.kind = GetParam().kind});
  quadratic.backward();
  optimizer.step(0, 0.1);
  const AllocatorStatistics before = allocator(Device::cpu).statistics();
  optimizer.step(1, 0.1);
  const AllocatorStatistics after = allocator(Device::cpu).statistics();
  EXPECT_EQ(after.system_allocations, before.system_allocations);
  EXPECT_EQ(after.live_blocks, before.live_blocks);
}

INSTANTIATE_TEST_SUITE_P(Kinds, OptimizerTest,
                         testing::Values(Case{"sgd", OptimizerKind::sgd},
                                         Case{"adam", OptimizerKind::adam},
                                         Case{"adamw", OptimizerKind::adamw}),
                         [](const auto& info) { return info.param.name; });

TEST(Optimizer, ClipsTheNormOfAllGradientsTogether) {
  for (DType dtype : {DType::f32, DType::f64}) {
    for (double clip : {0.0, 2.5, 5.0, 10.0}) {
      ParameterStore store(dtype);
      Parameter& a = store.create("a", {1, 1}, Init::zeros());
      Parameter& b = store.create("b", {1}, Init::zeros());
      store.initialize(1);
      Optimizer optimizer(
          store, {.kind = OptimizerKind::sgd, .beta1 = 0.0, .weight_decay = 0.0, .clip = clip});
      Tape tape;
      tape.backward(sum(tape, multiply(tape, a.variable(), 3.0)));
      tape.backward(sum(tape, multiply(tape, b.variable(), -4.0)));
      optimizer.step(0, 1.0);
      EXPECT_DOUBLE_EQ(optimizer.gradient_norm(), 5.0);  // before clipping
      const double factor = clip == 2.5 ? 0.5 : 1.0;
      expect_close(values_of(store.values()), {-3.0 * factor, 4.0 * factor}, 1e-6, "values");
    }
  }
}

TEST(Optimizer, StateIsNamed) {
  const auto names = [](OptimizerKind kind) {
    Quadratic quadratic(DType::f64);
    Optimizer optimizer(quadratic.store, {.kind = kind});
    std::vector<std::string> result;
    for (const OptimizerState& state : optimizer.state()) {
      EXPECT_EQ(state.slab.shape(), Shape({9}));
      EXPECT_EQ(state.slab.dtype(), DType::f64);
      EXPECT_THAT(values_of(state.slab), Each(0.0));
      result.push_back(state.name);
    }
    return result;
  };
  EXPECT_THAT(names(OptimizerKind::sgd), ElementsAre("velocity"));
  EXPECT_THAT(names(OptimizerKind::adam), ElementsAre("first_moment", "second_moment"));
  EXPECT_THAT(names(OptimizerKind::adamw), ElementsAre("first_moment", "second_moment"));
}

TEST(Optimizer, RefusesImpossibleOptions) {
  Quadratic model(DType::f32);
  const auto error = [&](const OptimizerConfig& config) {
    return error_of([&] { Optimizer(model.store, config); });
  };
  EXPECT_THAT(error({.clip = -1.0}), HasSubstr("clip is -1"));
  EXPECT_THAT(error({.eps = 0.0}), HasSubstr("eps is 0"));
  EXPECT_THAT(error({.beta1 = 1.0}), HasSubstr("beta is 1"));
  EXPECT_THAT(error({.beta2 = NAN}), HasSubstr("beta is nan"));
  EXPECT_THAT(error({.weight_decay = -0.1}), HasSubstr("weight_decay is -0.1"));
}

TEST(Optimizer, MeasuresThenUpdatesOrDiscards) {
  Quadratic whole(DType::f32), halves(DType::f32);
  Optimizer one(whole.store, {}), two(halves.store, {});
  const auto values = [](Quadratic& model) { return model.store.values().to_vector<float>(); };
  const std::vector<float> before = values(halves);
  EXPECT_THAT(error_of([&] { two.update(0, 0.1); }), HasSubstr("without measure()"));
  halves.backward();
  EXPECT_GT(two.measure(), 0.0);
  two.discard_gradients();
  EXPECT_EQ(values(halves), before);
  EXPECT_THAT(two.state()[0].slab.to_vector<float>(), Each(0.0f));
  EXPECT_THAT(error_of([&] { two.update(0, 0.1); }), HasSubstr("without measure()"));
  whole.backward();
  one.step(0, 0.1);
  halves.backward();
  EXPECT_EQ(two.measure(), one.gradient_norm());
  two.update(0, 0.1);
  EXPECT_EQ(values(halves), values(whole));
}

// Adam's bias correction is of the step that the caller names, whatever went before.
TEST(Optimizer, TheStepIsTheCallers) {
  const OptimizerConfig config{.kind = OptimizerKind::adamw, .beta2 = 0.95, .clip = 0.0};
  Quadratic quadratic(DType::f64);
  Optimizer optimizer(quadratic.store, config);
  ByHand by_hand(config, quadratic.store);
  for (const int step : {0, 3, 3, 1, 1000}) {
    quadratic.backward();
    optimizer.step(step, 0.1);
    by_hand.step(0.1, step + 1);
    expect_close(values_of(quadratic.store.values()), by_hand.x, 1e-13, fmt::format("{}", step));
  }
}

TEST(Optimizer, NeedsAnInitializedStore) {
  ParameterStore store;
  store.create("a", {1}, Init::zeros());
  EXPECT_THAT(error_of([&] { Optimizer(store, OptimizerConfig{}); }), HasSubstr("initialized"));
}

TEST(OptimizerFreezing, WhatIsNotTrainedKeepsItsBits) {
  for (const OptimizerKind kind : {OptimizerKind::sgd, OptimizerKind::adam, OptimizerKind::adamw}) {
    ParameterStore store;
    const Scope scope(store);
    Parameter& frozen = scope.parameter("frozen", {4, 4}, Init::normal(1.0));
    Parameter& weight = scope.parameter("weight", {4, 4}, Init::normal(1.0));
    frozen.trained = false;
    store.initialize(1);
    const auto before = frozen.value.to_vector<float>(), moving = weight.value.to_vector<float>();
    Optimizer optimizer(store, {.kind = kind, .weight_decay = 0.5});
    EXPECT_EQ(optimizer.state().front().slab.numel(), 16);
    Tape tape;
    tape.backward(sum(tape, matmul(tape, frozen.variable(), weight.variable())));
    optimizer.step(/*step=*/0, /*lr=*/0.1);
    EXPECT_EQ(frozen.value.to_vector<float>(), before);
    EXPECT_NE(weight.value.to_vector<float>(), moving);
  }
}

TEST(OptimizerFreezing, AStoreWithoutGradientsIsRefused) {
  ParameterStore constants;
  Scope(constants).parameter("weight", {2, 2}, Init::ones());
  constants.allocate(/*with_gradients=*/false);
  EXPECT_THAT(error_of([&] { Optimizer(constants, {}); }), HasSubstr("have no gradients"));
}

/// Three matrices and a vector, all ones; gradients are zero, so that only decay moves them.
struct Decaying {
  ParameterStore store;
  Parameter& embedding = store.create("embedding.weight", {2, 2}, Init::ones());
  Parameter& first = store.create("blocks.0.weight", {2, 3}, Init::ones());
  Parameter& second = store.create("blocks.1.weight", {2, 3}, Init::ones());
  Parameter& gain = store.create("gain", {3}, Init::ones());

  Decaying() { store.initialize(1); }
  /// The first value of each parameter after a step of rate 0.5.
  std::vector<double> after_step(const OptimizerConfig& config) {
    Optimizer(store, config).step(/*step=*/0, /*lr=*/0.5);
    std::vector<double> values;
    for (const Parameter& parameter : store.parameters())
      values.push_back(parameter.value.to_vector<float>().front());
    return values;
  }
};

TEST(ParameterGroups, HaveTheirOwnRateAndDecay) {
  // The first group that matches counts; without a group, matrices decay by weight_decay.
  EXPECT_THAT(Decaying().after_step({.weight_decay = 0.5,
                                     .groups = {{"embedding.*", 0.5, 0.5},
                                                {"blocks.0.*", 1.0, 0.0},
                                                {"blocks.*", 1.0, 1.0},
                                                {"gain", 0.25, 1.0}}}),
              ElementsAre(0.875, 1.0, 0.5, 0.875));
  EXPECT_THAT(Decaying().after_step({.weight_decay = 0.5}), ElementsAre(0.75, 0.75, 0.75, 1.0));
}

TEST(ParameterGroups, DecayMayBeSetAfterTheMemoryIsLaidOut) {
  Decaying decaying;
  decaying.embedding.decay = false;
  decaying.gain.decay = true;
  EXPECT_THAT(decaying.after_step({.weight_decay = 0.5}), ElementsAre(1.0, 0.75, 0.75, 0.75));
}

TEST(ParameterGroups, OfEqualRateAndDecayAreUpdatedTogether) {
  Decaying decaying;
  EXPECT_EQ(update_ranges(decaying.store, {}).size(), 2);
  EXPECT_EQ(update_ranges(decaying.store, {.groups = {{"*", 0.5, 0.0}}}).size(), 1);
  EXPECT_EQ(update_ranges(decaying.store, {.groups = {{"blocks.0.*", 0.5, 0.0}}}).size(), 4);
}

TEST(ParameterGroups, AreTheSameInShards) {
  const OptimizerConfig config{.weight_decay = 0.5, .groups = {{"large.1", 0.5, 0.25}}};
  const auto train = [&](std::vector<SlabRange> ranges) {
    ParameterStore store;
    for (const char* name : {"large.0", "large.1", "large.2"})
      store.create(name, {norm_piece / 64, 96}, Init::normal(1.0));
    store.initialize(1);
    Optimizer optimizer(store, config);
    if (!ranges.empty()) optimizer.shard(std::move(ranges), [](const Tensor&) {});
    for (int step = 0; step < 2; ++step) {
      for (Parameter& parameter : store.parameters()) {
        kernels_for(Device::cpu).fill(parameter.grad, 0.25);
        parameter.slot.written = true;
      }
      optimizer.step(step, 0.1);
    }
    return values_of(store.values());
  };
  const int64_t n = 3 * norm_piece * 3 / 2;  // the shards end within parameters
  EXPECT_EQ(train({}), train({{0, 2 * norm_piece}, {2 * norm_piece, n}}));
}

TEST(ParameterGroups, APatternThatMatchesNothingIsRefused) {
  EXPECT_THAT(error_of([&] {
                Decaying().after_step({.groups = {{"block.*", 1.0, 0.0}}});
              }),
              HasSubstr("optimizer.groups: no trained parameter is named block.*; the names are: "
                        "embedding.weight, blocks.0.weight"));
}

}  // namespace
}  // namespace folio
