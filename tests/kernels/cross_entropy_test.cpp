#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "kernel_checks.h"

namespace folio {
namespace {

struct Reference {
  double loss = 0.0;
  std::vector<double> gradient;
};

Reference reference(const std::vector<double>& x, const std::vector<int32_t>& targets,
                    const CrossEntropyOptions& options) {
  const size_t V = x.size() / targets.size();
  const double epsilon = options.label_smoothing;
  Reference r{0.0, std::vector<double>(x.size())};
  for (size_t row = 0; row < targets.size(); ++row) {
    if (targets[row] == options.ignored_index) continue;
    const double* logits = x.data() + row * V;
    const double max = *std::max_element(logits, logits + V);
    double sum = 0.0, mean = 0.0;
    for (size_t i = 0; i < V; ++i) {
      sum += std::exp(logits[i] - max);
      mean += logits[i] / static_cast<double>(V);
    }
    const double log_sum = max + std::log(sum);
    const auto target = static_cast<size_t>(targets[row]);
    r.loss +=
        options.scale * ((1.0 - epsilon) * (log_sum - logits[target]) + epsilon * (log_sum - mean));
    for (size_t i = 0; i < V; ++i) {
      const double wanted = (i == target ? 1.0 - epsilon : 0.0) + epsilon / static_cast<double>(V);
      r.gradient[row * V + i] = options.scale * (std::exp(logits[i] - log_sum) - wanted);
    }
  }
  return r;
}

std::vector<int32_t> some_targets(int64_t rows, int64_t V, int32_t ignored) {
  auto targets = random_indices({rows}, 3, V).to_vector<int32_t>();
  for (size_t i = 1; i < targets.size(); i += 3) targets[i] = ignored;
  return targets;
}

struct Size {
  int64_t rows, V;
};

TEST(CrossEntropyKernel, LossAndGradientAgree) {
  for (const DType dtype : floating_types) {
    for (const auto [rows, V] :
         {Size{1, 1}, Size{2, 11}, Size{5, 17}, Size{768, 65}, Size{40, 1000}, Size{3, 50257}}) {
      for (const double epsilon : {0.0, 0.1}) {
        for (const int32_t ignored : {-1, -100}) {
          SCOPED_TRACE(testing::Message() << name_of(dtype) << rows << "x" << V << " " << epsilon);
          const CrossEntropyOptions options{epsilon, ignored, 1.0 / static_cast<double>(rows)};
          const auto x = numbers(rows * V, 1, -8.0, 8.0);
          const auto targets = some_targets(rows, V, ignored);
          const Reference expected = reference(x, targets, options);
          const Tensor logits = tensor_of({rows, V}, x, dtype), dlogits({rows, V}, dtype);
          const Tensor indices = Tensor::from<int32_t>({rows}, targets), loss(Shape{}, dtype);
          tested_kernels().cross_entropy(loss, dlogits, logits, indices, options);
          EXPECT_NEAR(loss.item(), expected.loss, tolerance_for(dtype, 5e-7) * 10);
          expect_each_near(dlogits, expected.gradient, tolerance_for(dtype, 2e-7));
          tested_kernels().cross_entropy(loss, Tensor(), logits, indices, options);
          EXPECT_NEAR(loss.item(), expected.loss, tolerance_for(dtype, 5e-7) * 10);
          tested_kernels().cross_entropy(loss, logits, logits, indices, options);
          SCOPED_TRACE("in place");
          EXPECT_NEAR(loss.item(), expected.loss, tolerance_for(dtype, 5e-7) * 10);
          expect_each_near(logits, expected.gradient, tolerance_for(dtype, 2e-7));
        }
      }
    }
  }
}

TEST(CrossEntropyKernel, LargeLogitsDoNotOverflow) {
  const Tensor logits = tensor_of({2, 3}, {1000.0, 0.0, 0.0, -1000.0, 0.0, -1000.0}, DType::f32);
  const Tensor dlogits({2, 3}, DType::f32), loss(Shape{}, DType::f32);
  tested_kernels().cross_entropy(loss, dlogits, logits, Tensor::from<int32_t>({2}, {0, 0}), {});
  EXPECT_FLOAT_EQ(static_cast<float>(loss.item()), 1000.0f);
  expect_each_near(dlogits, {0.0, 0.0, 0.0, -1.0, 1.0, 0.0}, 1e-7);
}

TEST(CrossEntropyKernel, NanLogitsGiveANanLoss) {
  const Tensor logits = tensor_of({1, 20}, std::vector<double>(20, std::nan("")), DType::f32);
  const Tensor loss(Shape{}, DType::f32);
  tested_kernels().cross_entropy(loss, Tensor(), logits, Tensor::from<int32_t>({1}, {4}), {});
  EXPECT_TRUE(std::isnan(loss.item()));
}

TEST(CrossEntropyKernel, OnlyIgnoredTargetsGiveZero) {
  const Tensor logits = tensor_of({2, 3}, numbers(6, 1), DType::f64), dlogits({2, 3}, DType::f64);
  const Tensor loss(Shape{}, DType::f64);
  tested_kernels().cross_entropy(loss, dlogits, logits, Tensor::from<int32_t>({2}, {-1, -1}), {});
  EXPECT_EQ(loss.item(), 0.0);
  EXPECT_EQ(values_of(dlogits), std::vector<double>(6, 0.0));
}

TEST(CrossEntropyKernel, SameWithAnyThreads) {
  const int64_t rows = 2000, V = 65;
  const Tensor logits = tensor_of({rows, V}, numbers(rows * V, 1, -4.0, 4.0), DType::f32);
  const Tensor targets = Tensor::from<int32_t>({rows}, some_targets(rows, V, -1));
  expect_same_with_any_threads([&] {
    const Tensor loss(Shape{}, DType::f32), dlogits({rows, V}, DType::f32);
    tested_kernels().cross_entropy(loss, dlogits, logits, targets, {0.1, -1, 1.0 / 2000});
    return std::vector<Tensor>{loss, dlogits};
  });
}

}  // namespace
}  // namespace folio
