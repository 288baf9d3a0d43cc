#include "folio/kernels/library_product.h"

#include "kernel_checks.h"

namespace folio {
namespace {

TEST(LibraryProduct, IsOurProduct) {
  const Kernels& kernels = kernels_for(Device::cpu);
  for (const int64_t count : {1, 3}) {
    for (const bool transpose_a : {false, true}) {
      for (const bool transpose_b : {false, true}) {
        for (const bool accumulate : {false, true}) {
          const MatrixProduct p{transpose_a, transpose_b, accumulate, 5, 6, 7, count};
          const Shape shape_a{count, transpose_a ? 7 : 5, transpose_a ? 5 : 7};
          const Shape shape_b{count, transpose_b ? 6 : 7, transpose_b ? 7 : 6};
          const Shape shape_c{count, 5, 6};
          const auto filled = [](const Shape& shape, uint64_t seed) {
            return tensor_of(shape, numbers(shape.numel(), seed), DType::f32);
          };
          const Tensor a = filled(shape_a, 1), b = filled(shape_b, 2);
          const Tensor c = filled(shape_c, 3), expected = filled(shape_c, 3);
          library_product(p, a, b, c);
          kernels.matmul({&expected, accumulate}, a, transpose_a, b, transpose_b);
          expect_each_near(c, values_of(expected), 1e-5);
        }
      }
    }
  }
  EXPECT_EQ((MatrixProduct{.m = 5, .n = 6, .k = 7, .count = 3}.flops()), 2 * 5 * 6 * 7 * 3);
}

}  // namespace
}  // namespace folio
