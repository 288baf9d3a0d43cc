// A step in a captured graph gives the same bits as direct calls, for each step number that is
// written to the device.
#include "folio/kernels/cuda/step_values.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <cstring>
#include <functional>
#include <vector>

#include "folio/kernels/kernels.h"
#include "folio/tensor/copy.h"
#include "folio/tensor/cuda.h"
#include "folio/tensor/tensor.h"
#include "support/gradcheck.h"

namespace folio {
namespace {

Tensor numbers_on_gpu(int64_t n, uint64_t seed, double low = -1.0, double high = 1.0) {
  const Tensor values = tensor_of({n}, values_of(random_tensor({n}, seed, low, high)), DType::f32);
  return on_device(values, Device::cuda);
}

/// The device's StepValues.
class Values {
 public:
  const cuda::StepValues* address() const {
    return static_cast<const cuda::StepValues*>(memory_.raw());
  }
  void set(const cuda::StepValues& values) const {
    cuda::upload(memory_.raw(), &values, sizeof values);
  }

 private:
  Tensor memory_{{sizeof(cuda::StepValues) / 4}, DType::i32, Device::cuda};
};

/// Captures work that reads the device's step values instead of its arguments.
void capture(cuda::Graph& graph, const Values& values, const std::function<void()>& work) {
  const cuda::StepValuesScope scope(values.address());
  graph.capture(work);
}

TEST(StepValues, DropoutInAGraphFollowsTheStep) {
  const Kernels& kernels = kernels_for(Device::cuda);
  const int64_t n = 1003;
  const Tensor x = numbers_on_gpu(n, 1), y({n}, DType::f32, Device::cuda),
               expected = numbers_on_gpu(n, 2);
  const auto mask = [](uint32_t step) {
    return DropoutMask{.probability = 0.3, .stream = {.seed = 9, .purpose = 4, .step = step}};
  };
  const Values values;
  values.set({});
  cuda::Graph graph;
  capture(graph, values, [&] { kernels.dropout({&y, false}, x, mask(7)); });
  for (const uint32_t step : {7u, 8u, 1000u, 2u}) {
    values.set({.step_offset = step - 7});
    graph.launch();
    kernels.dropout({&expected, false}, x, mask(step));
    EXPECT_EQ(y.to_vector<float>(), expected.to_vector<float>()) << "step " << step;
  }
}

TEST(StepValues, AdamAndSgdInAGraphFollowStepAndRate) {
  const Kernels& kernels = kernels_for(Device::cuda);
  const int64_t n = 1003;
  const Tensor gradients = numbers_on_gpu(n, 1),
               norm = on_device(Tensor::from<float>({2}, {1.0f, 0.5f}), Device::cuda);
  for (const bool adam : {true, false}) {
    struct State {
      Tensor values = numbers_on_gpu(1003, 2), first = numbers_on_gpu(1003, 3),
             second = numbers_on_gpu(1003, 4, 0.0, 1.0);
      Tensor copy{{1003}, DType::bf16, Device::cuda};
    } direct, replayed;
    const auto update = [&](const State& s, double lr, int64_t step) {
      if (adam) {
        kernels.adam(s.values, s.copy, s.first, s.second, gradients, norm,
                     {.lr = lr, .weight_decay = 0.1, .step = step});
      } else {
        kernels.sgd(s.values, s.copy, s.first, gradients, norm,
                    {.lr = lr, .momentum = 0.9, .weight_decay = 0.1, .step = step});
      }
    };
    const Values values;
    cuda::Graph graph;
    capture(graph, values, [&] { update(replayed, 123.0, 456); });
    for (int64_t step = 1; step <= 4; ++step) {
      const double lr = 0.01 * static_cast<double>(step);
      values.set({.lr = lr, .optimizer_step = step});
      graph.launch();
      update(direct, lr, step);
      EXPECT_EQ(replayed.values.to_vector<float>(), direct.values.to_vector<float>());
      EXPECT_EQ(replayed.first.to_vector<float>(), direct.first.to_vector<float>());
      EXPECT_EQ(values_of(replayed.copy), values_of(direct.copy));
    }
  }
}

TEST(StepValues, AnUpdateWithoutAFiniteNormChangesNothing) {
  const Kernels& kernels = kernels_for(Device::cuda);
  for (const float bad : {std::nanf(""), INFINITY}) {
    const Tensor values = numbers_on_gpu(50, 1), m = numbers_on_gpu(50, 2),
                 v = numbers_on_gpu(50, 3);
    const Tensor g = numbers_on_gpu(50, 4),
                 norm = on_device(Tensor::from<float>({2}, {bad, bad}), Device::cuda);
    const auto before = values.to_vector<float>(), m_before = m.to_vector<float>();
    kernels.adam(values, Tensor(), m, v, g, norm, {.lr = 0.1});
    kernels.sgd(values, Tensor(), m, g, norm, {.lr = 0.1, .momentum = 0.9});
    EXPECT_EQ(values.to_vector<float>(), before);
    EXPECT_EQ(m.to_vector<float>(), m_before);
  }
}

TEST(StepValues, ASeparatePoolKeepsAGraphsMemoryFromOtherTensors) {
  const Kernels& kernels = kernels_for(Device::cuda);
  Allocator pool(cuda::device_memory());
  const Tensor x = numbers_on_gpu(100, 1), y = numbers_on_gpu(100, 2);
  const auto work = [&] {  // y = x, through memory that is returned to the pool
    const AllocatorScope scope(Device::cuda, pool);
    const Tensor between({100}, DType::f32, Device::cuda);
    kernels.copy({&between, false}, x);
    kernels.copy({&y, false}, between);
  };
  work();
  cuda::Graph graph;
  graph.capture(work);
  const Tensor other = numbers_on_gpu(100, 3);  // of the size that `between` had
  const auto values = other.to_vector<float>();
  kernels.fill(y, 0.0);
  graph.launch();
  EXPECT_EQ(y.to_vector<float>(), x.to_vector<float>());
  EXPECT_EQ(other.to_vector<float>(), values);
}

}  // namespace
}  // namespace folio
