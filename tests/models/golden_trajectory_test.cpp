// Training a tiny GPT as PyTorch does: losses, learning rates, norms and final parameters.
#include <fmt/core.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "folio/optim/optimizer.h"
#include "folio/optim/schedule.h"
#include "support/golden_gpt.h"

namespace folio {
namespace {

OptimizerConfig optimizer_from(const nlohmann::json& settings) {
  const std::map<std::string, OptimizerKind> kinds = {
      {"sgd", OptimizerKind::sgd}, {"adam", OptimizerKind::adam}, {"adamw", OptimizerKind::adamw}};
  OptimizerConfig config{.kind = kinds.at(settings.at("name").get<std::string>()),
                         .weight_decay = settings.value("weight_decay", 0.0),
                         .clip = settings.value("clip", 0.0)};
  if (config.kind == OptimizerKind::sgd) {
    config.beta1 = settings.at("momentum").get<double>();
  } else {
    config.beta1 = settings.at("betas").at(0).get<double>();
    config.beta2 = settings.at("betas").at(1).get<double>();
    config.eps = settings.at("eps").get<double>();
  }
  return config;
}

Schedule schedule_from(const nlohmann::json& settings) {
  const nlohmann::json& schedule = settings.at("schedule");
  const bool cosine = schedule.at("name") == "cosine";
  return {.kind = cosine ? ScheduleKind::cosine : ScheduleKind::constant,
          .lr = schedule.at("lr").get<double>(),
          .final_lr = schedule.value("final_lr", 0.0),
          .warmup = schedule.value("warmup", int64_t{0}),
          .steps = settings.at("steps").get<int64_t>()};
}

/// PyTorch's clip_grad_norm_, which adds 1e-6 to the norm where Folio does not. Returns the norm.
double clip_as_torch(ParameterStore& store, double max_norm) {
  store.finish_gradients();
  double* gradients = store.gradients().data<double>();
  double norm = 0.0;
  for (int64_t i = 0; i < store.numel(); ++i) norm += gradients[i] * gradients[i];
  norm = std::sqrt(norm);
  const double factor = max_norm > 0.0 ? std::min(1.0, max_norm / (norm + 1e-6)) : 1.0;
  for (int64_t i = 0; i < store.numel(); ++i) gradients[i] *= factor;
  return norm;
}

enum class Clipping { ours, torch };

void check(GoldenGpt& gpt, const nlohmann::json& trajectory, Clipping clipping, double tolerance) {
  const nlohmann::json& settings = trajectory.at("optimizer");
  const double smoothing = settings.at("label_smoothing").get<double>();
  const Schedule schedule = schedule_from(settings);
  OptimizerConfig config = optimizer_from(settings);
  const double clip = config.clip;
  if (clipping == Clipping::torch) config.clip = 0.0;
  Optimizer optimizer(gpt.store, config);
  Tape tape;
  for (const auto& golden : trajectory.at("steps")) {
    const auto step = golden.at("step").get<int64_t>();
    SCOPED_TRACE(fmt::format("step {}", step));
    const auto expect = [&](const char* what, double actual, double allowed) {
      expect_close({actual}, {golden.at(what).get<double>()}, allowed, what);
    };
    const Variable loss = gpt.model.loss(tape, gpt.inputs, gpt.targets, smoothing);
    expect("loss", loss.value.item(), tolerance);
    expect("lr", schedule(step), 1e-8);
    tape.backward(loss);
    tape.clear();
    double norm = clipping == Clipping::torch ? clip_as_torch(gpt.store, clip) : 0.0;
    optimizer.step(step, schedule(step));
    if (clipping == Clipping::ours) norm = optimizer.gradient_norm();
    expect("grad_norm", norm, tolerance);
  }
  for (const Parameter& parameter : gpt.store.parameters()) {
    std::vector<double> actual = values_of(parameter.value);
    const std::vector<double> golden =
        numbers_from(trajectory.at("final_parameters").at(parameter.name));
    for (size_t i = 0; i < actual.size(); ++i) {
      if (gpt.is_key_bias(parameter.name, i)) actual[i] = golden[i];
    }
    expect_close(actual, golden, tolerance, parameter.name);
  }
}

/// Every optimizer of every case in the file.
void check_all(DType dtype, Clipping clipping, double tolerance) {
  const nlohmann::json file = read_golden("tiny_gpt.json");
  int trajectories = 0;
  for (const auto& entry : file.at("cases")) {
    for (const auto& trajectory : entry.at("trajectories")) {
      SCOPED_TRACE(fmt::format("{} {}", entry.at("name").get<std::string>(),
                               trajectory.at("optimizer").at("name").get<std::string>()));
      GoldenGpt gpt(file, entry, dtype);
      check(gpt, trajectory, clipping, tolerance);
      ++trajectories;
    }
  }
  EXPECT_EQ(trajectories, 5);  // AdamW for all three, SGD and Adam for one
}

TEST(GoldenTrajectory, F32) { check_all(DType::f32, Clipping::ours, 1e-4); }

// What is left is PyTorch's 1e-6: see the next test.
TEST(GoldenTrajectory, F64) { check_all(DType::f64, Clipping::ours, 1e-5); }

TEST(GoldenTrajectory, F64ClippedAsPyTorchDoes) { check_all(DType::f64, Clipping::torch, 1e-7); }

}  // namespace
}  // namespace folio
