// Training on the GPU compared with the CPU and with itself, and checkpoints moved between devices.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "folio/inference/generate.h"
#include "folio/run/checkpoint.h"
#include "folio/tensor/copy.h"
#include "folio/tensor/cuda.h"
#include "folio/tensor/error.h"
#include "folio/train/trainer.h"
#include "support/run_fixture.h"
#ifdef FOLIO_CUDA_HOST
#include "work.h"
#endif

namespace folio {
namespace {

class GpuTraining : public RunTest {
 protected:
  Config config(const char* device, std::vector<std::string> overrides = {}) const {
    overrides.push_back(std::string("train.device=").append(device));
    return tiny_config(text_, overrides);
  }
};

struct Curve {
  std::vector<double> losses, norms;
  std::vector<float> values, moments;
};

Curve train(Trainer& trainer, int steps) {
  Curve curve;
  for (int i = 0; i < steps; ++i) {
    const StepResult result = trainer.step();
    EXPECT_EQ(result.refusal, Refusal::none) << result.reason;
    curve.losses.push_back(result.loss);
    curve.norms.push_back(result.gradient_norm);
  }
  curve.values = trainer.parameters().values().to_vector<float>();
  curve.moments = trainer.optimizer().state()[0].slab.to_vector<float>();
  return curve;
}

Curve train(const Config& config, int steps) {
  Trainer trainer(config);
  return train(trainer, steps);
}

TEST_F(GpuTraining, FiftyStepsFollowTheCpu) {
  // At tiny_config's learning rate rounding alone would grow to a visible difference by step 30.
  const std::vector<std::string> steps = {"train.steps=60", "optimizer.lr=2.0e-3"};
  const Curve cpu = train(config("cpu", steps), 50), gpu = train(config("cuda", steps), 50);
  for (int step = 0; step < 50; ++step) {
    EXPECT_NEAR(gpu.losses[step], cpu.losses[step], 1e-4) << "step " << step;
    EXPECT_NEAR(gpu.norms[step], cpu.norms[step], 1e-3 * cpu.norms[step]) << "step " << step;
  }
  EXPECT_LT(gpu.losses.back(), gpu.losses.front() - 0.2);
}

TEST_F(GpuTraining, SameBitsEveryTime) {
  const Curve a = train(config("cuda"), 8), b = train(config("cuda"), 8);
  EXPECT_EQ(a.losses, b.losses);
  EXPECT_EQ(a.norms, b.norms);
  EXPECT_EQ(a.values, b.values);
  EXPECT_EQ(a.moments, b.moments);
}

TEST_F(GpuTraining, ReplayedStepsHaveTheBitsOfTheirCalls) {
  // A trainer that begins anew at step 2 makes by calls what the other replays.
  for (const std::vector<std::string>& overrides :
       {std::vector<std::string>{},
        {"train.accumulate=2"},
        {"optimizer.name=sgd"},
        {"optimizer.groups=[{parameters: '*embedding*', lr_scale: 0.25}]"}}) {
    const Config c = config("cuda", overrides);
    Trainer replaying(c);
    for (int i = 0; i < 4; ++i) replaying.step();  // the third is the first that is captured
    for (int round = 0; round < 2; ++round) {
      Trainer calling(c);
      const auto copy = [](const Tensor& to, const Tensor& from) { copy_tensor(to, from); };
      copy(calling.parameters().values(), replaying.parameters().values());
      for (size_t i = 0; i < calling.optimizer().state().size(); ++i) {
        copy(calling.optimizer().state()[i].slab, replaying.optimizer().state()[i].slab);
      }
      calling.parameters().masters_changed();
      calling.set_steps_done(replaying.steps_done());
      for (int i = 0; i < 2; ++i) {  // two are made by calls
        const StepResult a = replaying.step(), b = calling.step();
        EXPECT_EQ(a.loss, b.loss);
        EXPECT_EQ(a.gradient_norm, b.gradient_norm);
      }
      EXPECT_EQ(replaying.parameters().values().to_vector<float>(),
                calling.parameters().values().to_vector<float>());
    }
  }
}

TEST_F(GpuTraining, Bf16FollowsTheCpuToItsRounding) {
  const Curve cpu = train(config("cpu"), 10);
  const Curve gpu = train(config("cuda", {"train.precision=bf16"}), 10);
  for (size_t i = 0; i < cpu.losses.size(); ++i) EXPECT_NEAR(gpu.losses[i], cpu.losses[i], 0.05);
}

TEST_F(GpuTraining, Tf32IsOptInAndRounds) {
  // So wide that no algorithm without matrix units is likely to be the quickest.
  const Curve f32 = train(config("cuda", {"model.width=64"}), 3),
              tf32 = train(config("cuda", {"model.width=64", "train.precision=tf32"}), 3);
  EXPECT_NE(f32.losses, tf32.losses);
  for (size_t i = 0; i < 3; ++i) EXPECT_NEAR(f32.losses[i], tf32.losses[i], 0.01);
  // It does not stay on.
  EXPECT_EQ(train(config("cuda", {"model.width=64"}), 3).losses, f32.losses);
  EXPECT_THROW(Trainer(config("cpu", {"train.precision=tf32"})), Error);
}

TEST_F(GpuTraining, EvaluatingBetweenStepsChangesNothing) {
  Trainer plain(config("cuda")), evaluating(config("cuda"));
  for (int i = 0; i < 6; ++i) {
    const double loss = evaluating.evaluate(2).loss;
    EXPECT_TRUE(std::isfinite(loss));
    EXPECT_EQ(plain.step().loss, evaluating.step().loss);
  }
  EXPECT_EQ(plain.evaluate(0).loss, evaluating.evaluate(0).loss);
}

TEST_F(GpuTraining, CheckpointsGoFromOneDeviceToTheOther) {
  for (const bool from_gpu : {true, false}) {
    Trainer first(config(from_gpu ? "cuda" : "cpu")), second(config(from_gpu ? "cpu" : "cuda"));
    const Curve before = train(first, 5);
    Progress progress;
    progress.step = 5;
    progress.samples = first.samples_drawn();
    const auto place = directory_.path() / (from_gpu ? "a" : "b");
    save_checkpoint(place, first.model(), first.parameters(), first.optimizer(), first.tokenizer(),
                    first.config(), progress);
    load_parameters(place, second.model(), second.parameters());
    const Progress loaded = load_progress(place, second.parameters(), second.optimizer());
    second.set_steps_done(loaded.step);
    EXPECT_EQ(second.parameters().values().to_vector<float>(), before.values);
    EXPECT_EQ(second.optimizer().state()[0].slab.to_vector<float>(), before.moments);
    for (int i = 0; i < 5; ++i) EXPECT_NEAR(first.step().loss, second.step().loss, 1e-4);
  }
}

TEST_F(GpuTraining, SamplesAsTheCpuDoes) {
  Trainer cpu(config("cpu")), gpu(config("cuda"));
  EXPECT_EQ(cpu.parameters().values().to_vector<float>(),
            gpu.parameters().values().to_vector<float>());
  const SamplingOptions options{.max_tokens = 40, .temperature = 0.0};
  EXPECT_EQ(
      generate(as_language_model(gpu.model(), "the test"), gpu.tokenizer(), "my lord", options),
      generate(as_language_model(cpu.model(), "the test"), cpu.tokenizer(), "my lord", options));
}

TEST_F(GpuTraining, AStepThatIsNotFiniteIsRefused) {
  for (const int steps : {1, 5}) {  // by calls, and replayed
    Trainer trainer(config("cuda"));
    train(trainer, steps);
    const Tensor& values = trainer.parameters().values();
    std::vector<float> poisoned = values.to_vector<float>();
    poisoned[7] = INFINITY;
    copy_tensor(values, Tensor::from(values.shape(), poisoned));
    const StepResult result = trainer.step();
    EXPECT_EQ(result.refusal, Refusal::not_finite);
    EXPECT_EQ(std::memcmp(values.to_vector<float>().data(), poisoned.data(), poisoned.size() * 4),
              0);
  }
}

TEST_F(GpuTraining, AGuardedRunContinuesAfterARefusedStep) {
  for (const int steps :
       {1, 2, 3, 5}) {  // the third is captured: without an update if it is refused
    SCOPED_TRACE(steps);
    Trainer gpu(config("cuda", {"train.spike_guard=6"})),
        cpu(config("cpu", {"train.spike_guard=6"}));
    for (Trainer* trainer : {&gpu, &cpu}) {
      train(*trainer, steps);
      const Tensor& values = trainer->parameters().values();
      const std::vector<float> good = values.to_vector<float>();
      std::vector<float> poisoned = good;
      poisoned[7] = INFINITY;
      copy_tensor(values, Tensor::from(values.shape(), poisoned));
      EXPECT_EQ(trainer->step().refusal, Refusal::not_finite);
      copy_tensor(values, Tensor::from(values.shape(), good));
    }
    for (int i = 0; i < 3; ++i) {
      const StepResult a = gpu.step(), b = cpu.step();
      EXPECT_EQ(a.refusal, Refusal::none);
      EXPECT_NEAR(a.loss, b.loss, 1e-4);
    }
  }
}

TEST_F(GpuTraining, ASpikeIsRefusedBeforeTheUpdate) {
  Trainer trainer(config("cuda", {"train.spike_guard=3", "train.spike_window=4"}));
  Trainer same(config("cpu", {"train.spike_guard=3", "train.spike_window=4"}));
  for (int i = 0; i < 12; ++i) {
    const StepResult a = trainer.step(), b = same.step();
    EXPECT_EQ(a.refusal, b.refusal) << "step " << a.step;
    EXPECT_NEAR(a.loss, b.loss, 1e-4);
  }
}

TEST_F(GpuTraining, NothingIsAllocatedAfterTheFirstSteps) {
  Trainer trainer(config("cuda"));
  train(trainer, 4);
  const auto before = cuda::pool().statistics().system_allocations;
  train(trainer, 4);
  EXPECT_EQ(cuda::pool().statistics().system_allocations, before);
}

#ifdef FOLIO_CUDA_HOST
TEST_F(GpuTraining, MissingSynchronizationChangesLosses) {
  const Curve right = train(config("cuda"), 5);
  cuda_host::leave_out_waits(true);
  Trainer trainer(config("cuda"));
  std::vector<double> losses;
  for (int i = 0; i < 5; ++i) losses.push_back(trainer.step().loss);
  cuda_host::leave_out_waits(false);
  EXPECT_NE(losses, right.losses);
}

TEST_F(GpuTraining, AWaitInsideALibraryFailsDuringCapture) {
  const Config c = config("cuda", {"train.precision=bf16"});
  const std::pair<cuda_host::Waits, const char*> places[] = {
      {cuda_host::Waits::in_products, "cublasLtMatmul"},
      {cuda_host::Waits::in_attention, "cudnnBackendExecute"}};
  for (const auto& [where, call] : places) {
    Trainer trainer(c);
    cuda_host::wait_in_libraries(where);
    train(trainer, 2);  // by calls, where it may wait
    EXPECT_THAT(error_of([&] { trainer.step(); }), testing::HasSubstr(call));
    cuda_host::wait_in_libraries(cuda_host::Waits::nowhere);
    cuda_host::reset_after_failure();
  }
  Trainer trainer(c);
  train(trainer, 4);
}
#endif

}  // namespace
}  // namespace folio
