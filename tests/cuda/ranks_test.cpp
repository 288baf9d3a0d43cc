// What training with several GPUs relies on, tested in one process; tests/comm starts processes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "folio/kernels/kernels.h"
#include "folio/tensor/copy.h"
#include "folio/tensor/cuda.h"
#include "folio/tensor/error.h"
#include "folio/train/trainer.h"
#include "support/gradcheck.h"
#include "support/run_fixture.h"
#include "support/thread_ranks.h"

namespace folio {
namespace {

TEST(GpuNorm, SumsOfSquaresAddUpToTheNorm) {
  const Kernels& kernels = kernels_for(Device::cuda);
  const Tensor norm({2}, DType::f32, Device::cuda);
  for (const int64_t pieces : {1, 5, 300}) {  // more than a block has threads
    const int64_t n = (pieces - 1) * norm_piece + 77;
    const Tensor values = random_tensor({n}, 3, -1.0, 1.0);
    const Tensor gradients = on_device(tensor_of({n}, values_of(values), DType::f32), Device::cuda);
    const Tensor sums({pieces}, DType::f64, Device::cuda);
    kernels.sum_squares(sums, gradients);
    double sum = 0.0;
    for (const double piece : sums.to_vector<double>()) sum += piece;
    kernels.gradient_norm(norm, gradients, 0.25);
    EXPECT_EQ(norm.to_vector<float>(),
              (std::vector{static_cast<float>(std::sqrt(sum)),
                           static_cast<float>(clip_scale(std::sqrt(sum), 0.25))}));
  }
}

class GpuRanks : public RunTest {
 protected:
  Config config(std::vector<std::string> overrides) const {
    overrides.push_back("train.device=cuda");
    return tiny_config(text_, overrides);
  }
};

TEST_F(GpuRanks, OneProcessAddsMicroBatchesInOrderToo) {
  Trainer ordered(config({"train.accumulate=4", "train.reduce=ordered"}));
  Trainer fast(config({"train.accumulate=4"}));
  for (int step = 0; step < 4; ++step) {
    const StepResult a = ordered.step(), b = fast.step();
    EXPECT_NEAR(a.loss, b.loss, 1e-4);
    EXPECT_NEAR(a.gradient_norm, b.gradient_norm, 1e-3);
  }
}

TEST_F(GpuRanks, NeedMessagesBetweenGpus) {
  EXPECT_THAT(error_of([&] {
                on_ranks(2, [&](Communicator& ranks) { Trainer(config({}), nullptr, ranks); });
              }),
              testing::HasSubstr("2 ranks cannot train on GPUs: this build has no NCCL"));
}

}  // namespace
}  // namespace folio
