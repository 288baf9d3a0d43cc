// A GPU of compute capability 7.5, which the double pretends to be with FOLIO_HOST_CAPABILITY=75:
// what it lacks is refused by name, said, or computed in f32.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "folio/tensor/cuda.h"
#include "folio/train/device_choice.h"
#include "folio/train/trainer.h"
#include "support/run_fixture.h"

namespace folio {
namespace {

using testing::AllOf;
using testing::HasSubstr;

class OlderGpu : public RunTest {
 protected:
  void SetUp() override {
    ASSERT_LT(cuda::Context::get().properties().capability, 80) << "run it as cuda.older_gpu does";
  }

  Config config(const char* device, const char* precision) const {
    return tiny_config(text_, {std::string("train.device=").append(device),
                               std::string("train.precision=").append(precision)});
  }

  static std::vector<double> losses(Trainer& trainer, int steps) {
    std::vector<double> found;
    for (int i = 0; i < steps; ++i) found.push_back(trainer.step().loss);
    return found;
  }
};

TEST_F(OlderGpu, AutoIsF32AndTheRunSaysSo) {
  const std::string printed =
      train_into("run", {.overrides = {"train.device=cuda", "train.precision=auto"}, .stop_at = 4});
  EXPECT_THAT(printed, AllOf(HasSubstr("device  cuda, f32"), HasSubstr("compute capability 7.5"),
                             HasSubstr("no bf16 or TF32")));
  Trainer gpu(config("cuda", "auto")), cpu(config("cpu", "f32"));
  const std::vector<double> a = losses(gpu, 5), b = losses(cpu, 5);  // by calls, and replayed
  for (size_t i = 0; i < a.size(); ++i) EXPECT_NEAR(a[i], b[i], 1e-4);
}

TEST_F(OlderGpu, WhatItLacksIsRefusedByName) {
  EXPECT_THAT(error_of([&] { Trainer(config("cuda", "bf16")); }),
              AllOf(HasSubstr("train.precision"), HasSubstr("compute capability 8.0")));
  EXPECT_THAT(error_of([&] { Trainer(config("cuda", "tf32")); }),
              AllOf(HasSubstr("train.precision"), HasSubstr("compute capability 8.0")));
}

TEST_F(OlderGpu, Bf16IsComputedThroughF32) {
  Trainer cpu(config("cpu", "f32"));
  Trainer gpu(config("cuda", "f32"), nullptr, single_process(), Device::cuda, DType::bf16);
  const std::vector<double> a = losses(gpu, 5), b = losses(cpu, 5);
  for (size_t i = 0; i < a.size(); ++i) EXPECT_NEAR(a[i], b[i], 0.05);
  EXPECT_NE(a, b);
  EXPECT_LT(a.back(), a.front());
}

}  // namespace
}  // namespace folio
