// The parameter store: names, slabs, initial values, gradients over a step.
#include "folio/autograd/parameters.h"

#include <fmt/core.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "folio/autograd/ops.h"
#include "support/gradcheck.h"
#include "support/temporary.h"

namespace folio {
namespace {

using testing::AllOf;
using testing::Each;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

TEST(Scope, NamesAreDotted) {
  ParameterStore store;
  const Scope root(store);
  const Scope block = root / "blocks.3";
  EXPECT_EQ(root.path(), "");
  EXPECT_EQ((block / "attention").path(), "blocks.3.attention");
  EXPECT_EQ(root.parameter("free", {2}, Init::zeros()).name, "free");
  EXPECT_EQ((block / "attention" / "qkv").parameter("weight", {2, 2}, Init::zeros()).name,
            "blocks.3.attention.qkv.weight");
  const uint32_t site = block.site("dropout");
  EXPECT_EQ(site, purpose_of("blocks.3.dropout"));
  EXPECT_NE(site, root.site("dropout"));
}

TEST(ParameterStore, AnOpBeforeInitializeSaysSo) {
  ParameterStore store;
  Parameter& weight = store.create("blocks.0.weight", {2, 2}, Init::ones());
  EXPECT_EQ(error_of([&] { weight.variable(); }),
            "blocks.0.weight: the parameter has no memory yet; call initialize() on its store");
}

TEST(Init, GlorotAndHeHaveTheirVariance) {
  ParameterStore store(DType::f64);
  const Parameter& glorot = store.create("glorot", {300, 200}, Init::glorot(200, 300));
  const Parameter& he = store.create("he", {300, 200}, Init::he(200));
  store.initialize(1);
  const auto variance = [](const Parameter& parameter) {
    double sum = 0.0, squares = 0.0;
    for (const double value : values_of(parameter.value)) {
      sum += value;
      squares += value * value;
    }
    const auto n = static_cast<double>(parameter.shape.numel());
    return squares / n - sum / n * sum / n;
  };
  // The relative standard error of a variance of 60,000 values is below 0.6%.
  EXPECT_NEAR(variance(glorot), 2.0 / 500.0, 0.02 * 2.0 / 500.0);
  EXPECT_NEAR(variance(he), 2.0 / 200.0, 0.02 * 2.0 / 200.0);
}

TEST(Scope, TwoDropoutsOfOneNameAreRefused) {
  ParameterStore store;
  const Scope block = Scope(store) / "blocks.3";
  block.site("dropout");
  EXPECT_THAT(
      error_of([&] { block.site("dropout"); }),
      HasSubstr("blocks.3.dropout: a source of random numbers of this name exists already"));
}

TEST(ParameterStore, RefusesDuplicatesAndLateComers) {
  ParameterStore store;
  store.create("a.weight", {2, 3}, Init::zeros());
  EXPECT_THAT(error_of([&] {
                store.create("a.weight", {2, 3}, Init::zeros());
              }),
              AllOf(HasSubstr("a.weight: "), HasSubstr("exists")));
  EXPECT_EQ(store.numel(), 6);
  store.initialize(1);
  EXPECT_THAT(error_of([&] { store.create("b", {2}, Init::zeros()); }),
              AllOf(HasSubstr("b: "), HasSubstr("initialize")));
  EXPECT_THAT(error_of([&] { store.initialize(1); }), HasSubstr("twice"));
  ParameterStore empty;
  EXPECT_THAT(error_of([&] { empty.initialize(1); }), HasSubstr("no parameters"));
}

TEST(ParameterStore, IsReadWithoutGradients) {
  ParameterStore store(DType::bf16);
  const Parameter& weight = store.create("weight", {2, 3}, Init::zeros());
  store.allocate(/*with_gradients=*/false);
  EXPECT_FALSE(store.gradients());
  EXPECT_FALSE(weight.grad);
  std::ranges::fill_n(weight.master.data<float>(), 6, 1.5f);
  store.masters_changed();
  EXPECT_THAT(weight.value.to_vector<bf16>(), Each(bf16(1.5f)));
  EXPECT_THAT(error_of([&] { store.initialize(1); }), HasSubstr("twice"));
}

TEST(ParameterStore, AddressesStayValid) {
  ParameterStore store;
  Parameter& first = store.create("p0", {1}, Init::zeros());
  for (int i = 1; i < 500; ++i) store.create(fmt::format("p{}", i), {1}, Init::zeros());
  store.initialize(1);
  EXPECT_EQ(&first, &store.find("p0"));
  EXPECT_EQ(first.value.shape(), Shape({1}));
}

TEST(ParameterStore, FindNamesTheNearest) {
  ParameterStore store;
  Parameter& weight = store.create("blocks.0.attention.qkv.weight", {2, 2}, Init::zeros());
  store.create("final_norm.weight", {2}, Init::ones());
  EXPECT_EQ(&store.find("blocks.0.attention.qkv.weight"), &weight);
  EXPECT_THAT(error_of([&] { store.find("final_nrom.weight"); }),
              AllOf(HasSubstr("final_nrom.weight: "), HasSubstr("is final_norm.weight meant")));
  EXPECT_THAT(error_of([&] { store.find("something else"); }), Not(HasSubstr("meant")));
}

TEST(ParameterStore, SlabsHoldWhatDecaysFirst) {
  for (DType dtype : {DType::f32, DType::f64}) {
    ParameterStore store(dtype);
    Parameter& gain = store.create("gain", {3}, Init::ones());
    Parameter& first = store.create("first", {2, 3}, Init::normal(1.0));
    Parameter& bias = store.create("bias", {2}, Init::zeros());
    Parameter& second = store.create("second", {1, 4}, Init::uniform(1.0));
    EXPECT_EQ(store.numel(), 15);
    EXPECT_FALSE(gain.value);
    store.initialize(3);
    EXPECT_TRUE(first.decay && second.decay);
    EXPECT_FALSE(gain.decay || bias.decay);
    EXPECT_EQ(first.offset, 0);
    EXPECT_EQ(second.offset, 6);
    EXPECT_EQ(gain.offset, 10);
    EXPECT_EQ(bias.offset, 13);
    EXPECT_EQ(store.values().shape(), Shape({15}));
    EXPECT_EQ(store.values().dtype(), dtype);
    const auto at = [&](const Tensor& slab, int64_t offset) {
      return static_cast<const char*>(slab.raw()) + offset * static_cast<int64_t>(size_of(dtype));
    };
    for (const Parameter& p : store.parameters()) {
      EXPECT_EQ(p.value.shape(), p.shape);
      EXPECT_EQ(p.value.raw(), at(store.values(), p.offset)) << p.name;
      EXPECT_EQ(p.grad.raw(), at(store.gradients(), p.offset)) << p.name;
    }
    EXPECT_THAT(values_of(store.gradients()), Each(0.0));
    EXPECT_THAT(values_of(gain.value), Each(1.0));
    EXPECT_THAT(values_of(bias.value), Each(0.0));
  }
}

struct Moments {
  double mean = 0.0, deviation = 0.0, lowest = 0.0, highest = 0.0;
};

Moments moments_of(const Tensor& x) {
  const std::vector<double> values = values_of(x);
  const double n = static_cast<double>(values.size());
  Moments m;
  for (double v : values) m.mean += v / n;
  for (double v : values) m.deviation += (v - m.mean) * (v - m.mean) / n;
  m.deviation = std::sqrt(m.deviation);
  m.lowest = *std::min_element(values.begin(), values.end());
  m.highest = *std::max_element(values.begin(), values.end());
  return m;
}

TEST(ParameterStore, InitialValuesHaveTheirDistribution) {
  ParameterStore store;
  Parameter& normal = store.create("normal", {200, 500}, Init::normal(0.02));
  Parameter& uniform = store.create("uniform", {200, 500}, Init::uniform(0.3));
  store.initialize(7);
  // 100,000 values: the standard error of a mean is the deviation / 316, that of a deviation less.
  const Moments n = moments_of(normal.value);
  EXPECT_NEAR(n.mean, 0.0, 0.02 * 0.02);
  EXPECT_NEAR(n.deviation, 0.02, 0.02 * 0.02);
  EXPECT_GT(n.highest, 0.02 * 3.5);
  const Moments u = moments_of(uniform.value);
  EXPECT_NEAR(u.mean, 0.0, 0.3 * 0.02);
  EXPECT_NEAR(u.deviation, 0.3 / std::sqrt(3.0), 0.3 * 0.01);
  EXPECT_GE(u.lowest, -0.3);
  EXPECT_LT(u.highest, 0.3);
  EXPECT_LT(u.lowest, -0.299);
  EXPECT_GT(u.highest, 0.299);
}

TEST(ParameterStore, ValuesDependOnSeedAndNameOnly) {
  const auto values = [](uint64_t seed, const std::vector<std::string>& names, DType dtype) {
    ParameterStore store(dtype);
    for (const std::string& name : names) store.create(name, {3, 5}, Init::normal(1.0));
    store.initialize(seed);
    return values_of(store.find("a").value);
  };
  const std::vector<double> a = values(1, {"a"}, DType::f64);
  EXPECT_EQ(values(1, {"b", "c", "a"}, DType::f64), a);
  EXPECT_EQ(values(1, {"a", "z"}, DType::f64), a);
  EXPECT_NE(values(2, {"a"}, DType::f64), a);
  expect_close(values(1, {"a"}, DType::f32), a, 1e-7, "in f32");
  const RandomStream stream{.seed = 1, .purpose = purpose_of("a"), .step = 0};
  for (size_t i = 0; i < a.size(); ++i) EXPECT_EQ(a[i], stream.normal(i)) << "element " << i;
  ParameterStore store(DType::f64);
  store.create("other", {3, 5}, Init::normal(1.0));
  store.initialize(1);
  EXPECT_NE(values_of(store.find("other").value), a);
}

TEST(ParameterStore, GradientsOverAStep) {
  ParameterStore store(DType::f64);
  Parameter& a = store.create("a", {2}, Init::ones());
  Parameter& b = store.create("b", {2}, Init::ones());
  store.initialize(1);
  Tape tape;
  const auto backward = [&](Parameter& p, double factor) {
    tape.backward(sum(tape, multiply(tape, p.variable(), factor)));
    tape.clear();
  };
  store.start_gradients();
  backward(a, 2.0);
  EXPECT_THAT(values_of(tape.gradient(a.variable())), ElementsAre(2.0, 2.0));
  backward(a, 3.0);
  backward(b, 7.0);
  store.finish_gradients();
  EXPECT_THAT(values_of(a.grad), ElementsAre(5.0, 5.0));
  EXPECT_THAT(values_of(b.grad), ElementsAre(7.0, 7.0));
  // A new step begins anew, and what nothing reached becomes zero.
  store.start_gradients();
  backward(a, 11.0);
  store.finish_gradients();
  EXPECT_THAT(values_of(a.grad), ElementsAre(11.0, 11.0));
  EXPECT_THAT(values_of(b.grad), ElementsAre(0.0, 0.0));
  // They lie in the slab, not beside it.
  EXPECT_THAT(values_of(store.gradients()), ElementsAre(11.0, 11.0, 0.0, 0.0));
}

TEST(ParameterStore, OneParameterThroughTwoPaths) {
  ParameterStore store(DType::f64);
  Parameter& w = store.create("w", {3, 3}, Init::normal(0.5));
  store.create("b", {3}, Init::normal(0.5));
  store.initialize(2);
  Tape tape;
  expect_passed(check_gradients(
      store,
      [&](Tape& t) {
        const Variable b = store.find("b").variable(), v = w.variable();
        const Variable h = linear(t, Variable{random_tensor({2, 3}, 1)}, v, b, Activation::gelu);
        return weighted_sum(t, add(t, matmul(t, h, w.variable()), b));
      },
      tape));
}

TEST(Parameters, ThoseThatAreNotTrainedHaveNoGradient) {
  ParameterStore store(DType::f64);
  const Scope scope(store);
  Parameter& frozen = scope.parameter("frozen", {2, 3}, Init::ones());
  Parameter& gain = scope.parameter("gain", {3}, Init::ones());
  Parameter& weight = scope.parameter("weight", {3, 3}, Init::ones());
  frozen.trained = false;
  gain.decay = true;
  weight.decay = false;
  store.initialize(1);
  EXPECT_EQ(store.numel(), 18);
  EXPECT_EQ(store.trained_numel(), 12);
  EXPECT_EQ(store.gradients().numel(), 12);
  EXPECT_EQ(gain.offset, 0);
  EXPECT_EQ(weight.offset, 3);
  EXPECT_EQ(frozen.offset, 12);

  Tape tape;
  const Variable x = matmul(tape, frozen.variable(), weight.variable());
  EXPECT_FALSE(frozen.variable().needs_grad());
  tape.backward(sum(tape, multiply(tape, x, gain.variable())));
  store.finish_gradients();
  EXPECT_FALSE(frozen.grad);
  EXPECT_THAT(gain.grad.to_vector<double>(), Each(6.0));
  EXPECT_THAT(weight.grad.to_vector<double>(), Each(2.0));
}

TEST(Parameters, AStoreWithoutGradientsIsOneOfConstants) {
  ParameterStore store(DType::f64);
  Parameter& weight = Scope(store).parameter("weight", {2, 2}, Init::ones());
  store.allocate(/*with_gradients=*/false);
  Tape tape;
  EXPECT_FALSE(sum(tape, weight.variable()).needs_grad());
  EXPECT_FALSE(store.gradients());
}

}  // namespace
}  // namespace folio
