// Computing a piece again: the same gradients, to the bit, from less memory.
#include "folio/autograd/recompute.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <optional>
#include <vector>

#include "folio/autograd/ops.h"
#include "folio/autograd/parameters.h"
#include "support/gradcheck.h"

namespace folio {
namespace {

using Two = std::array<Variable, 2>;

/// A piece with parameters, dropout and two outputs, run directly or through recompute().
class Recompute : public ::testing::Test {
 protected:
  Recompute() { store_.initialize(1); }

  Two piece(Tape& tape, const Two& inputs) {
    const Variable x = add(tape, inputs[0], inputs[1]);
    const Variable h =
        dropout(tape, linear(tape, x, weight_.variable(), std::nullopt, Activation::gelu), 0.3, 7);
    return {h, multiply(tape, x, h)};
  }

  /// Gradients of two leaves and of the weight, which is used before, in and after the piece.
  std::vector<std::vector<double>> gradients(bool again, bool use_both = true) {
    Tape tape;
    tape.set_training(true);
    tape.set_context({.seed = 1, .step = 5, .first_sample = 2});
    store_.start_gradients();
    const Variable a = tape.leaf(random_tensor({4, 6}, 1));
    const Variable b = tape.leaf(random_tensor({4, 6}, 2));
    const auto run = [this](Tape& tape, const Two& inputs) { return piece(tape, inputs); };
    const Two in = {linear(tape, a, weight_.variable(), std::nullopt), b};
    const Two out = again ? recompute(tape, in, run) : run(tape, in);
    Variable y = linear(tape, out[0], weight_.variable(), std::nullopt);
    if (use_both) y = multiply(tape, y, add(tape, out[1], in[1]));
    const Variable loss = sum(tape, y);
    tape.set_context({.seed = 8, .step = 6, .first_sample = 0});  // the next micro-batch's, say
    tape.set_training(false);
    tape.backward(loss);
    EXPECT_EQ(tape.context().seed, 8u);
    EXPECT_FALSE(tape.training());
    EXPECT_EQ(tape.size(), 0u);
    return {values_of(tape.gradient(a)), values_of(tape.gradient(b)), values_of(weight_.grad)};
  }

  ParameterStore store_{DType::f64};
  Parameter& weight_ = store_.create("weight", {6, 6}, Init::normal(0.7));
};

TEST_F(Recompute, GivesTheSameBits) {
  EXPECT_EQ(gradients(true), gradients(false));
  EXPECT_EQ(gradients(true, false), gradients(false, false));  // no gradient reaches one output
}

TEST_F(Recompute, NestsAndMayReturnAnInput) {
  const auto run = [&](bool again) {
    Tape tape;
    const Variable a = tape.leaf(random_tensor({4, 6}, 1));
    store_.start_gradients();
    const auto inner = [this](Tape& tape, const std::array<Variable, 1>& x) {
      return std::array<Variable, 1>{linear(tape, x[0], weight_.variable(), std::nullopt)};
    };
    const auto outer = [&](Tape& tape, const std::array<Variable, 1>& x) {
      const auto y = again ? recompute(tape, x, inner) : inner(tape, x);
      return Two{tanh(tape, y[0]), x[0]};
    };
    const Two out = again ? recompute(tape, std::array<Variable, 1>{a}, outer) : outer(tape, {a});
    tape.backward(sum(tape, multiply(tape, out[0], out[1])));
    return std::vector{values_of(tape.gradient(a)), values_of(weight_.grad)};
  };
  EXPECT_EQ(run(true), run(false));
}

TEST_F(Recompute, WithoutRecordingOnlyComputes) {
  Tape tape;
  const NoRecording no_recording(tape);
  const Two in = {Variable{random_tensor({4, 6}, 1)}, Variable{random_tensor({4, 6}, 2)}};
  const auto run = [this](Tape& tape, const Two& inputs) { return piece(tape, inputs); };
  EXPECT_EQ(values_of(recompute(tape, in, run)[1].value), values_of(run(tape, in)[1].value));
  EXPECT_EQ(tape.size(), 0u);
}

TEST(RecomputeMemory, KeepsNothingButTheInputs) {
  Tape tape;
  const Variable x = tape.leaf(Tensor::from({1024}, std::vector<float>(1024, 0.5f)));
  const auto live = [] { return allocator(Device::cpu).statistics().live_bytes; };
  const size_t before = live();
  const auto chain = [](Tape& tape, const std::array<Variable, 1>& inputs) {
    Variable y = inputs[0];
    for (int i = 0; i < 10; ++i) y = tanh(tape, y);
    return std::array<Variable, 1>{y};
  };
  const auto out = recompute(tape, std::array<Variable, 1>{x}, chain);
  EXPECT_EQ(live() - before, 4096u);  // the output
  tape.backward(sum(tape, out[0]));
  float expected = 1.0f, y = 0.5f;
  for (int i = 0; i < 10; ++i) {
    y = std::tanh(y);
    expected *= 1.0f - y * y;
  }
  EXPECT_NEAR(values_of(tape.gradient(x))[0], expected, 1e-6);
}

}  // namespace
}  // namespace folio
