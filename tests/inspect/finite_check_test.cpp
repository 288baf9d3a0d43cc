#include "folio/inspect/finite_check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "folio/autograd/ops.h"

namespace folio {
namespace {

using ::testing::ElementsAre;

constexpr float inf = std::numeric_limits<float>::infinity();
constexpr float nan = std::numeric_limits<float>::quiet_NaN();

std::vector<std::string> names_of(const std::vector<ObservedTensor>& tensors) {
  std::vector<std::string> names;
  for (const ObservedTensor& tensor : tensors) names.push_back(tensor.name);
  return names;
}

TEST(RangeOf, CountsWhatIsNotFinite) {
  const ValueRange range = range_of(Tensor::from<float>({2, 3}, {1, -2, inf, nan, -inf, 3}));
  EXPECT_EQ(range.min, -2);
  EXPECT_EQ(range.max, 3);
  EXPECT_EQ(range.nan, 1);
  EXPECT_EQ(range.infinite, 2);
  EXPECT_EQ(range.first_bad, 2);
  EXPECT_EQ(range.first_bad_value, inf);
  EXPECT_FALSE(range.finite());
}

TEST(RangeOf, FiniteEmptyAndNothingFinite) {
  const ValueRange finite = range_of(Tensor::from<double>({2}, {1e300, -1e-300}));
  EXPECT_TRUE(finite.finite());
  EXPECT_EQ(finite.max, 1e300);
  EXPECT_TRUE(range_of(Tensor::from<float>({0}, {})).finite());
  const ValueRange none = range_of(Tensor::from<float>({2}, {nan, inf}));
  EXPECT_GT(none.min, none.max);
}

TEST(RangeOf, ReadsEveryType) {
  EXPECT_EQ(range_of(Tensor::from<int32_t>({2}, {-7, 5})).min, -7);
  const Tensor halves({3}, DType::bf16);
  const uint16_t bits[] = {0x3f80, 0x7f80, 0xc000};  // 1, inf, -2
  std::memcpy(halves.raw(), bits, sizeof bits);
  const ValueRange range = range_of(halves);
  EXPECT_EQ(range.min, -2);
  EXPECT_EQ(range.max, 1);
  EXPECT_EQ(range.infinite, 1);
  EXPECT_EQ(range.first_bad, 1);
}

/// A model with two layers: x, linear(up), exp, linear(down), mean.
class FiniteCheckTest : public ::testing::Test {
 protected:
  FiniteCheckTest() {
    up = &parameters.create("block.up.weight", {4, 3}, Init::normal(0.5));
    bias = &parameters.create("block.up.bias", {4}, Init::zeros());
    down = &parameters.create("block.down.weight", {2, 4}, Init::normal(0.5));
    parameters.initialize(1);
  }

  /// What is found in a forward and backward pass over `x`, (2, 3).
  std::optional<FirstNonFinite> find(const std::vector<float>& x) {
    FiniteCheck check(parameters);
    tape.set_observer(&check);
    parameters.start_gradients();
    const Variable b = bias->variable();
    const Variable hidden =
        exp(tape, linear(tape, Variable{Tensor::from<float>({2, 3}, x)}, up->variable(), b));
    tape.backward(mean(tape, linear(tape, hidden, down->variable(), std::nullopt)));
    tape.clear();
    tape.set_observer(nullptr);
    return check.found();
  }

  ParameterStore parameters;
  Parameter *up, *bias, *down;
  Tape tape;
};

TEST_F(FiniteCheckTest, FindsNothingWhereAllIsFinite) { EXPECT_FALSE(find({1, 2, 3, 4, 5, 6})); }

TEST_F(FiniteCheckTest, NamesTheLayerOfAParameterThatIsInfinite) {
  up->value.data<float>()[7] = inf;
  const auto found = find({1, 2, 3, 4, 5, 6});
  ASSERT_TRUE(found);
  EXPECT_EQ(found->op, "linear");
  EXPECT_EQ(found->layer, "block.up");
  EXPECT_FALSE(found->after_layer);
  EXPECT_FALSE(found->backward);
  EXPECT_EQ(found->where(), "linear in block.up");
  EXPECT_THAT(names_of(found->read), ElementsAre("a constant", "block.up.weight", "block.up.bias"));
  EXPECT_EQ(found->read[1].range.infinite, 1);
  EXPECT_EQ(found->read[1].range.first_bad, 7);
  EXPECT_THAT(names_of(found->made), ElementsAre("output"));
  EXPECT_EQ(found->made[0].shape, Shape({2, 4}));
  EXPECT_EQ(found->made[0].range.first_bad, 2);  // row 2 of the weight
  EXPECT_THAT(found->bad_rows, ElementsAre(0, 1));
}

TEST_F(FiniteCheckTest, SaysAfterWhichLayerAnOpWithoutParametersComes) {
  bias->value.data<float>()[3] = 100;  // exp(100) is infinite in f32
  const auto found = find({0, 0, 0, 0, 0, 0});
  ASSERT_TRUE(found);
  EXPECT_EQ(found->where(), "exp after block.up");
  EXPECT_TRUE(found->after_layer);
  EXPECT_THAT(names_of(found->read), ElementsAre("output of linear in block.up"));
  EXPECT_EQ(found->read[0].range.max, 100);
  EXPECT_TRUE(found->read[0].range.finite());
}

TEST_F(FiniteCheckTest, TellsTheRows) {
  up->value.data<float>()[0] = 60;
  const auto found = find({0, 1, 1, 2, 1, 1});
  ASSERT_TRUE(found);
  EXPECT_EQ(found->op, "exp");
  EXPECT_THAT(found->bad_rows, ElementsAre(1));
}

TEST_F(FiniteCheckTest, FindsAGradientOfAParameter) {
  // exp(80) and its gradient are finite; times the input they are not.
  bias->value.data<float>()[0] = 80;
  for (int i = 0; i < 12; ++i) up->value.data<float>()[i] = 0;
  const auto backward = find({1e8F, 0, 0, 0, 0, 0});
  ASSERT_TRUE(backward);
  EXPECT_EQ(backward->where(), "backward of linear in block.up");
  EXPECT_TRUE(backward->backward);
  EXPECT_THAT(names_of(backward->read),
              ElementsAre("gradient of output of linear in block.up", "a constant",
                          "block.up.weight", "block.up.bias", "output"));
  EXPECT_THAT(names_of(backward->made),
              ElementsAre("gradient of block.up.weight", "gradient of block.up.bias"));
  EXPECT_EQ(backward->culprit, 0u);
  EXPECT_TRUE(backward->bad_rows.empty());
}

TEST(FiniteCheck, FindsTheSlopeOfASquareRootAtZero) {
  ParameterStore parameters;
  Parameter& scale = parameters.create("scale.weight", {3}, Init::ones());
  parameters.initialize(1);
  FiniteCheck check(parameters);
  Tape tape;
  tape.set_observer(&check);
  const Variable x{Tensor::from<float>({2, 3}, {1, 4, 9, 16, 0, 25})};
  const Variable loss = sum(tape, sqrt(tape, multiply(tape, x, scale.variable())));
  EXPECT_EQ(loss.value.item(), 15);
  EXPECT_FALSE(check.found());
  tape.backward(loss);
  const auto& found = check.found();
  ASSERT_TRUE(found);
  EXPECT_EQ(found->where(), "backward of sqrt after scale");
  EXPECT_THAT(names_of(found->read), ElementsAre("gradient of output of sqrt after scale",
                                                 "output of multiply in scale", "output"));
  EXPECT_EQ(found->read[1].range.min, 0);
  EXPECT_THAT(names_of(found->made), ElementsAre("gradient of output of multiply in scale"));
  EXPECT_EQ(found->made[0].range.infinite, 1);
  EXPECT_EQ(found->made[0].range.first_bad, 4);
  EXPECT_THAT(found->bad_rows, ElementsAre(1));
}

TEST(FiniteCheck, OpsWithTwoOutputsAndWithSeveralLayers) {
  ParameterStore parameters;
  Parameter& table = parameters.create("tokens.weight", {2, 3}, Init::zeros());
  Parameter& positions = parameters.create("positions.weight", {2, 3}, Init::zeros());
  Parameter& gain = parameters.create("norm.weight", {3}, Init::ones());
  parameters.initialize(1);
  const Tensor tokens = Tensor::from<int32_t>({1, 2}, {0, 1});
  Tape tape;
  const auto find = [&] {
    FiniteCheck check(parameters);
    tape.set_observer(&check);
    const Variable x = embedding(tape, tokens, table.variable(), positions.variable());
    residual_dropout_layer_norm(tape, x, x, 0.0, 1, gain.variable(), std::nullopt);
    tape.clear();
    return check.found();
  };
  gain.value.data<float>()[1] = nan;
  const auto norm = find();
  ASSERT_TRUE(norm);
  EXPECT_EQ(norm->where(), "residual_dropout_layer_norm in norm");
  EXPECT_THAT(names_of(norm->made), ElementsAre("output 1", "output 2"));
  EXPECT_EQ(norm->culprit, 1u);
  EXPECT_EQ(norm->read[0].name, "output of embedding in tokens, positions");
  positions.value.data<float>()[0] = nan;
  const auto both = find();
  ASSERT_TRUE(both);
  EXPECT_EQ(both->where(), "embedding in tokens, positions");
}

TEST(FiniteCheck, ShowsAnInputAsItsMakerLeftIt) {
  const ParameterStore parameters;
  FiniteCheck check(parameters);
  Tape tape;
  tape.set_observer(&check);
  const Variable made = exp(tape, tape.leaf(Tensor::from<float>({2}, {0, 0})));
  made.value.data<float>()[1] = 0;  // as an op that works in place would
  log(tape, made);
  ASSERT_TRUE(check.found());
  EXPECT_THAT(names_of(check.found()->read), ElementsAre("output of exp"));
  EXPECT_EQ(check.found()->read[0].range.min, 1);
}

TEST(FiniteCheck, WatchesWhatIsNotRecorded) {
  const ParameterStore parameters;
  FiniteCheck check(parameters);
  Tape tape;
  tape.set_observer(&check);
  const NoRecording pause(tape);
  log(tape, Variable{Tensor::from<float>({}, {0})});
  ASSERT_TRUE(check.found());
  EXPECT_EQ(check.found()->where(), "log");
}

}  // namespace
}  // namespace folio
