// Tiny GPTs against PyTorch: logits, loss, every parameter's gradient.
#include "support/golden_gpt.h"

#include <fmt/core.h>
#include <gtest/gtest.h>

#include <functional>
#include <string>

namespace folio {
namespace {

class GoldenGptTest : public testing::TestWithParam<DType> {
 protected:
  /// Calls `check` with every case of the file.
  void for_each_case(const std::function<void(GoldenGpt&)>& check) {
    for (const auto& entry : file.at("cases")) {
      SCOPED_TRACE(entry.at("name").get<std::string>());
      GoldenGpt gpt(file, entry, GetParam());
      check(gpt);
    }
  }

  const nlohmann::json file = read_golden("tiny_gpt.json");
  // A whole model rounds more than an op: without vector instructions 1.4e-5.
  const double tolerance = (GetParam() == DType::f32 ? 2.0 : 1.0) * golden_tolerance(GetParam());
};

TEST_P(GoldenGptTest, ParametersHaveTheSameNamesAndShapes) {
  for_each_case([](GoldenGpt& gpt) {
    const auto& parameters = gpt.entry.at("parameters");
    EXPECT_EQ(gpt.store.parameters().size(), parameters.size());
    for (const auto& parameter : parameters) {
      EXPECT_EQ(gpt.store.find(parameter.at("name").get<std::string>()).shape,
                shape_from(parameter.at("shape")));
    }
  });
}

TEST_P(GoldenGptTest, Logits) {
  for_each_case([&](GoldenGpt& gpt) {
    Tape tape;
    NoRecording pause(tape);
    const Variable logits = gpt.model.logits(tape, gpt.inputs);
    expect_close(values_of(logits.value), numbers_from(gpt.entry.at("logits")), tolerance,
                 "logits");
  });
}

TEST_P(GoldenGptTest, LossAndGradients) {
  for_each_case([&](GoldenGpt& gpt) {
    for (const auto& golden : gpt.entry.at("losses")) {
      const double smoothing = golden.at("label_smoothing").get<double>();
      SCOPED_TRACE(fmt::format("label smoothing {}", smoothing));
      Tape tape;
      gpt.store.start_gradients();
      const Variable loss = gpt.model.loss(tape, gpt.inputs, gpt.targets, smoothing);
      expect_close({loss.value.item()}, {golden.at("loss").get<double>()}, tolerance, "loss");
      tape.backward(loss);
      gpt.store.finish_gradients();
      const auto& gradients = golden.at("gradients");
      EXPECT_EQ(gradients.size(), gpt.store.parameters().size());
      for (const Parameter& parameter : gpt.store.parameters()) {
        expect_close(values_of(parameter.grad), numbers_from(gradients.at(parameter.name)),
                     tolerance, "gradient of " + parameter.name);
      }
    }
  });
}

INSTANTIATE_TEST_SUITE_P(Types, GoldenGptTest, testing::Values(DType::f32, DType::f64),
                         [](const auto& info) { return std::string(name_of(info.param)); });

}  // namespace
}  // namespace folio
