#include <cstdint>
#include <vector>

#include "kernel_checks.h"

namespace folio {
namespace {

TEST(MemoryKernels, FillWritesEveryType) {
  const Tensor f32({70000}, DType::f32), f64({17}, DType::f64), i32({3}, DType::i32);
  const Tensor bf16({2}, DType::bf16);
  tested_kernels().fill(f32, 0.5);
  tested_kernels().fill(f64, 0.1);
  tested_kernels().fill(i32, -7);
  tested_kernels().fill(bf16, 1.0);
  EXPECT_EQ(values_of(f32), std::vector<double>(70000, 0.5));
  EXPECT_EQ(values_of(f64), std::vector<double>(17, 0.1));
  EXPECT_EQ(i32.to_vector<int32_t>(), std::vector<int32_t>(3, -7));
  EXPECT_EQ(static_cast<const uint16_t*>(bf16.raw())[1], 0x3F80);
}

TEST(MemoryKernels, CopyOverwritesAndAccumulates) {
  for (const DType dtype : floating_types) {
    for (const int64_t n : {1, 17, 65, 50000}) {
      const auto values = numbers(n, 1);
      const Tensor x = tensor_of({n}, values, dtype);
      expect_target({n}, dtype, values, tolerance_for(dtype, 1e-7),
                    [&](GradTarget y) { tested_kernels().copy(y, x); });
    }
  }
}

TEST(MemoryKernels, CopyMovesTokens) {
  const Tensor x = Tensor::from<int32_t>({2, 2}, {1, -2, 3, 4}), y({4}, DType::i32);
  tested_kernels().copy({&y, false}, x);
  EXPECT_EQ(y.to_vector<int32_t>(), (std::vector<int32_t>{1, -2, 3, 4}));
}

TEST(MemoryKernels, SkipsAnEmptyTarget) {
  const Tensor x = tensor_of({2}, {1.0, 2.0}, DType::f32);
  tested_kernels().copy({}, x);
  tested_kernels().scale({}, x, tensor_of({}, {2.0}, DType::f32));
}

TEST(MemoryKernels, ScaleMultipliesByATensorOfOneElement) {
  for (const DType dtype : floating_types) {
    for (const int64_t n : {1, 17, 65, 50000}) {
      const auto values = numbers(n, 1);
      std::vector<double> expected;
      for (const double v : values) expected.push_back(-1.75 * v);
      const Tensor x = tensor_of({n}, values, dtype), factor = tensor_of({}, {-1.75}, dtype);
      expect_target({n}, dtype, expected, tolerance_for(dtype, 2e-7),
                    [&](GradTarget y) { tested_kernels().scale(y, x, factor); });
    }
  }
}

}  // namespace
}  // namespace folio
