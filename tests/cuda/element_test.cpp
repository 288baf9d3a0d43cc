// The functions of single elements that kernels and host share, against f64.
#include "folio/kernels/cuda/element.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "kernels/unary_references.h"

namespace folio {
namespace {

TEST(CudaElement, FunctionsAndSlopesAgreeWithDoubles) {
  for (const UnaryReference& r : unary_references()) {
    const double low = r.positive ? 1e-3 : -20.0;
    for (int i = 0; i <= 4000; ++i) {
      const float x = static_cast<float>(low + (20.0 - low) * i / 4000.0);
      const double value = r.value(x), slope = r.slope(x);
      EXPECT_NEAR(cuda::unary_value(r.op, x), value, 1e-6 * std::max(1.0, std::abs(value)))
          << static_cast<int>(r.op) << " of " << x;
      const float y = static_cast<float>(value);
      EXPECT_NEAR(cuda::unary_slope(r.op, cuda::slope_from_output(r.op) ? NAN : x,
                                    cuda::slope_from_output(r.op) ? y : NAN),
                  slope, 2e-6 * std::max(1.0, std::abs(slope)))
          << "slope of " << static_cast<int>(r.op) << " at " << x;
    }
  }
}

TEST(CudaElement, SigmoidsOfFarNumbersAreNoNan) {
  for (const float x : {-1e30f, -200.0f, 200.0f, 1e30f}) {
    const cuda::Sigmoid s = cuda::sigmoid(x);
    EXPECT_EQ(s.value, x > 0.0f ? 1.0f : 0.0f);
    EXPECT_EQ(s.complement, x > 0.0f ? 0.0f : 1.0f);
  }
  EXPECT_TRUE(std::isnan(cuda::sigmoid(NAN).value));
}

TEST(CudaElement, PacksMoveNeighbours) {
  alignas(16) const float from[8] = {1, 2, 3, 4, 5, 6, 7, 8};
  alignas(16) float to[8] = {};
  cuda::store_pack(to, cuda::load_pack<8>(from));
  for (int i = 0; i < 8; ++i) EXPECT_EQ(to[i], from[i]);
  EXPECT_TRUE(cuda::aligned(from, 32));
  EXPECT_FALSE(cuda::aligned(from + 1, 32));
  EXPECT_TRUE(cuda::aligned(from + 1, 4));
}

TEST(CudaElement, MasksAreTheCpus) {
  const DropoutMask mask{
      .probability = 0.4, .stream = {.seed = 77, .purpose = 3, .step = 12}, .first_index = 1000};
  const cuda::Dropper dropper = cuda::Dropper(mask).resolved();
  for (const uint64_t first : {0ull, 4ull, 5ull, 4294967290ull}) {
    float values[8];
    for (float& value : values) value = 1.0f;
    dropper.apply(values, first);
    for (uint64_t i = 0; i < 8; ++i) {
      const bool kept = mask.stream.bits(mask.first_index + first + i) >= mask.threshold();
      EXPECT_EQ(values[i], kept ? static_cast<float>(mask.scale()) : 0.0f);
      EXPECT_EQ(dropper(1.0f, first + i), values[i]);
    }
  }
}

}  // namespace
}  // namespace folio
