#include "folio/autograd/observer.h"

#include <fmt/core.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "folio/autograd/ops.h"

namespace folio {
namespace {

/// Writes down what it is shown.
struct Diary : TapeObserver {
  std::vector<std::string> lines;

  void after_forward(const char* op, std::span<const Variable> inputs,
                     std::span<const Variable> outputs) override {
    lines.push_back(fmt::format("{}:{} ->{}", op, shapes(inputs), shapes(outputs)));
  }
  void before_backward(const char* op, std::span<GradSlot* const>) override {
    lines.push_back(fmt::format("before {}", op));
  }
  void after_backward(const char* op, std::span<GradSlot* const> outputs,
                      std::span<GradSlot* const> written) override {
    std::string line = fmt::format("after {}:", op);
    for (const GradSlot* slot : outputs) {
      if (slot != nullptr) line.append(slot->grad ? " alive" : " gone");
    }
    line.append(" wrote");
    for (const GradSlot* slot : written) line.append(" ").append(slot->grad.shape().to_string());
    lines.push_back(line);
  }

  static std::string shapes(std::span<const Variable> variables) {
    std::string all;
    for (const Variable& x : variables) all.append(" ").append(x.shape().to_string());
    return all;
  }
};

TEST(TapeObserver, SeesInputsOutputsAndGradients) {
  Tape tape;
  Diary diary;
  const Variable x = tape.leaf(Tensor::from<double>({2, 3}, {1, 2, 3, 4, 5, 6}));
  const Variable gain = tape.leaf(Tensor::from<double>({3}, {1, 1, 1}));
  const Variable constant{Tensor::from<double>({2, 1}, {1, 2})};
  tape.set_observer(&diary);
  const NormalizedSum norm = residual_dropout_layer_norm(tape, x, x, 0.0, 1, gain, nullptr);
  const Variable joined = concat(tape, {norm.normalized, constant}, 1);
  tape.backward(sum(tape, reshape(tape, joined, {8})));
  EXPECT_THAT(diary.lines,
              testing::ElementsAre(
                  "residual_dropout_layer_norm: (2, 3) (2, 3) (3) -> (2, 3) (2, 3)",
                  "concat: (2, 3) (2, 1) -> (2, 4)", "reshape: (2, 4) -> (8)", "sum: (8) -> ()",
                  "before sum", "after sum: alive wrote (8)", "before reshape",
                  "after reshape: alive wrote (2, 4)", "before concat",
                  "after concat: alive wrote (2, 3)", "before residual_dropout_layer_norm",
                  "after residual_dropout_layer_norm: alive alive wrote (2, 3) (3) (2, 3) (2, 3)"));
}

TEST(TapeObserver, SeesOpsThatAreNotRecorded) {
  Tape tape;
  Diary diary;
  tape.set_observer(&diary);
  const NoRecording pause(tape);
  exp(tape, tape.leaf(Tensor::from<double>({2}, {1, 2})));
  reshape(tape, {Tensor::from<double>({2}, {1, 2})}, {2, 1});
  tape.set_observer(nullptr);
  exp(tape, tape.leaf(Tensor::from<double>({2}, {1, 2})));
  EXPECT_THAT(diary.lines, testing::ElementsAre("exp: (2) -> (2)", "reshape: (2) -> (2, 1)"));
}

}  // namespace
}  // namespace folio
