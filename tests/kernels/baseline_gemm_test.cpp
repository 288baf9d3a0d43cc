#include "folio/kernels/baseline_gemm.h"

#include <cstdint>

#include "kernel_checks.h"

namespace folio {
namespace {

void expect_our_product(DType values, DType result, double tolerance) {
  const Kernels& kernels = kernels_for(Device::cpu);
  for (const int64_t count : {1, 3}) {
    for (const bool transpose_a : {false, true}) {
      for (const bool transpose_b : {false, true}) {
        for (const bool accumulate : {false, true}) {
          const MatrixProduct product{values, result, transpose_a, transpose_b, accumulate,
                                      5,      6,      7,           count};
          const Shape shape_a{count, transpose_a ? 7 : 5, transpose_a ? 5 : 7};
          const Shape shape_b{count, transpose_b ? 6 : 7, transpose_b ? 7 : 6};
          const Shape shape_c{count, 5, 6};
          const auto filled = [](const Shape& shape, uint64_t seed, DType dtype) {
            return tensor_of(shape, numbers(shape.numel(), seed), dtype);
          };
          const Tensor a = filled(shape_a, 1, values), b = filled(shape_b, 2, values);
          const Tensor c = filled(shape_c, 3, result), expected = filled(shape_c, 3, result);
          baseline_gemm(product.dense(), a, b, c);
          kernels.matmul({&expected, accumulate}, a, transpose_a, b, transpose_b);
          expect_each_near(c, values_of(expected), tolerance);
        }
      }
    }
  }
}

TEST(BaselineGemm, AgreesWithMatmul) {
  expect_our_product(DType::f32, DType::f32, 1e-5);
  expect_our_product(DType::bf16, DType::f32, 1e-5);
  expect_our_product(DType::bf16, DType::bf16, 1.0 / 128);
  EXPECT_EQ((MatrixProduct{.m = 5, .n = 6, .k = 7, .count = 3}.flops()), 2 * 5 * 6 * 7 * 3);
}

}  // namespace
}  // namespace folio
