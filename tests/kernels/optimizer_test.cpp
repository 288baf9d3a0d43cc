#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "kernel_checks.h"

namespace folio {
namespace {

TEST(GradientNormKernel, NormAndScale) {
  for (const DType dtype : floating_types) {
    for (const int64_t n : {1, 3, 17, 1000, 100003}) {
      const auto g = numbers(n, 1);
      double squares = 0.0;
      for (const double v : g) squares += v * v;
      const double norm = std::sqrt(squares);
      const Tensor gradients = tensor_of({n}, g, dtype), result({2}, dtype);
      for (const double max_norm : {0.0, 0.5 * norm, 2.0 * norm}) {
        tested_kernels().gradient_norm(result, gradients, max_norm);
        const double scale = max_norm == 0.5 * norm ? 0.5 : 1.0;
        expect_each_near(result, {norm, scale}, tolerance_for(dtype, 1e-7));
      }
    }
  }
}

TEST(GradientNormKernel, TinyAndHugeGradients) {
  const Tensor result({2}, DType::f32);
  for (const double size : {1e-25, 1e25}) {
    tested_kernels().gradient_norm(result, tensor_of({2}, {3 * size, 4 * size}, DType::f32), size);
    EXPECT_NEAR(values_of(result)[0] / (5 * size), 1.0, 1e-6);
    EXPECT_NEAR(values_of(result)[1], 0.2, 1e-7);
  }
  const Tensor zeros = tensor_of({3}, {0.0, 0.0, 0.0}, DType::f32);
  tested_kernels().gradient_norm(result, zeros, 1.0);
  EXPECT_EQ(values_of(result), (std::vector<double>{0.0, 1.0}));
}

TEST(GradientNormKernel, PiecesAddUpToTheSameBits) {
  for (const DType dtype : {DType::f32, DType::f64}) {
    for (const int64_t n : {int64_t{5}, norm_piece, 3 * norm_piece + 7}) {
      const auto g = numbers(n, 1);
      const Tensor gradients = tensor_of({n}, g, dtype), result({2}, dtype);
      const Tensor sums({(n + norm_piece - 1) / norm_piece}, DType::f64);
      kernels_for(Device::cpu).sum_squares(sums, gradients);
      double squares = 0.0, first = 0.0;
      for (const double sum : sums.to_vector<double>()) squares += sum;
      for (int64_t i = 0; i < std::min(n, norm_piece); ++i) first += g[i] * g[i];
      EXPECT_NEAR(sums.data<double>()[0] / first, 1.0, 1e-6);
      kernels_for(Device::cpu).gradient_norm(result, gradients, 0.7);
      const double norm = std::sqrt(squares);
      EXPECT_EQ(values_of(result), values_of(tensor_of({2}, {norm, clip_scale(norm, 0.7)}, dtype)));
    }
  }
}

TEST(GradientNormKernel, PropagatesNan) {
  const Tensor result({2}, DType::f32);
  tested_kernels().gradient_norm(result, tensor_of({2}, {1.0, std::nan("")}, DType::f32), 1.0);
  EXPECT_TRUE(std::isnan(values_of(result)[0]));
  tested_kernels().gradient_norm(result, tensor_of({2}, {1.0, infinity}, DType::f32), 1.0);
  EXPECT_EQ(values_of(result)[0], infinity);
  EXPECT_EQ(values_of(result)[1], 0.0);
}

/// PyTorch's AdamW (decoupled) and Adam, one element at a time.
void reference_adam(double& value, double& m, double& v, double g, const AdamOptions& o) {
  if (o.decoupled) {
    value *= 1.0 - o.lr * o.lr_scale * o.weight_decay;
  } else {
    g += o.weight_decay * value;
  }
  m = o.beta1 * m + (1.0 - o.beta1) * g;
  v = o.beta2 * v + (1.0 - o.beta2) * g * g;
  const auto t = static_cast<double>(o.step);
  const double root = std::sqrt(v) / std::sqrt(1.0 - std::pow(o.beta2, t)) + o.eps;
  value -= o.lr * o.lr_scale / (1.0 - std::pow(o.beta1, t)) * m / root;
}

TEST(AdamKernel, FollowsTheReferenceForSeveralSteps) {
  for (const DType dtype : floating_types) {
    for (const bool decoupled : {true, false}) {
      for (const int64_t n : {1, 3, 17, 65, 40001}) {
        SCOPED_TRACE(testing::Message() << name_of(dtype) << decoupled << n);
        auto value = numbers(n, 1);
        std::vector<double> m(value.size()), v(value.size());
        const Tensor values = tensor_of({n}, value, dtype), first = tensor_of({n}, m, dtype);
        const Tensor second = tensor_of({n}, v, dtype);
        const Tensor scale = tensor_of({2}, {3.0, 0.25}, dtype);
        for (int64_t step = 1; step <= 5; ++step) {
          const AdamOptions options{.lr = 2e-2,
                                    .lr_scale = 0.5,
                                    .beta1 = 0.9,
                                    .beta2 = 0.99,
                                    .eps = 1e-8,
                                    .weight_decay = 0.1,
                                    .decoupled = decoupled,
                                    .step = step};
          const auto g = numbers(n, 10 + static_cast<uint64_t>(step));
          for (size_t i = 0; i < g.size(); ++i) {
            reference_adam(value[i], m[i], v[i], 0.25 * g[i], options);
          }
          tested_kernels().adam(values, Tensor(), first, second, tensor_of({n}, g, dtype), scale,
                                options);
        }
        expect_each_near(first, m, tolerance_for(dtype, 1e-6));
        expect_each_near(second, v, tolerance_for(dtype, 1e-6));
        expect_each_near(values, value, tolerance_for(dtype, 5e-6));
      }
    }
  }
}

TEST(SgdKernel, FollowsTheReferenceForSeveralSteps) {
  for (const DType dtype : floating_types) {
    for (const double momentum : {0.0, 0.9}) {
      for (const int64_t n : {1, 3, 17, 65, 40001}) {
        auto value = numbers(n, 1);
        std::vector<double> velocity(value.size());
        const Tensor values = tensor_of({n}, value, dtype);
        // What velocity holds before the first step must not matter.
        const Tensor speed = tensor_of({n}, std::vector<double>(value.size(), std::nan("")), dtype);
        const Tensor scale = tensor_of({2}, {3.0, 0.5}, dtype);
        for (int64_t step = 1; step <= 4; ++step) {
          const SgdOptions options{
              .lr = 0.2, .lr_scale = 0.5, .momentum = momentum, .weight_decay = 0.01, .step = step};
          const auto g = numbers(n, 20 + static_cast<uint64_t>(step));
          for (size_t i = 0; i < g.size(); ++i) {
            const double slope = 0.5 * g[i] + options.weight_decay * value[i];
            velocity[i] = step == 1 ? slope : momentum * velocity[i] + slope;
            value[i] -= options.lr * options.lr_scale * velocity[i];
          }
          tested_kernels().sgd(values, Tensor(), speed, tensor_of({n}, g, dtype), scale, options);
        }
        expect_each_near(speed, velocity, tolerance_for(dtype, 1e-6));
        expect_each_near(values, value, tolerance_for(dtype, 1e-6));
      }
    }
  }
}

TEST(SgdKernel, NeedsNoVelocityWithoutMomentum) {
  const Tensor values = tensor_of({3}, {1.0, 2.0, 3.0}, DType::f32);
  tested_kernels().sgd(values, Tensor(), Tensor(), tensor_of({3}, {1.0, 1.0, -1.0}, DType::f32),
                       tensor_of({2}, {1.0, 1.0}, DType::f32), {.lr = 0.5, .step = 3});
  expect_each_near(values, {0.5, 1.5, 3.5}, 0.0);
}

TEST(OptimizerKernels, SameWithAnyThreads) {
  const int64_t n = 300007;
  const Tensor g = tensor_of({n}, numbers(n, 1), DType::f32);
  expect_same_with_any_threads([&] {
    const Tensor scale({2}, DType::f32), value({n}, DType::f32), m({n}, DType::f32);
    const Tensor v({n}, DType::f32), other({n}, DType::f32);
    for (const Tensor& tensor : {value, m, v, other}) tested_kernels().fill(tensor, 0.25);
    tested_kernels().gradient_norm(scale, g, 1.0);
    tested_kernels().adam(value, Tensor(), m, v, g, scale,
                          {.lr = 1e-3, .weight_decay = 0.1, .step = 2});
    tested_kernels().sgd(value, Tensor(), other, g, scale,
                         {.lr = 1e-3, .momentum = 0.9, .step = 2});
    return std::vector<Tensor>{scale, value, m, v, other};
  });
}

}  // namespace
}  // namespace folio
