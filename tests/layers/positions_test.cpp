// Positional encodings.
#include "folio/layers/positions.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <vector>

#include "support/gradcheck.h"

namespace folio {
namespace {

TEST(Positions, SinusoidalFollowsItsFormula) {
  for (DType dtype : {DType::f32, DType::f64}) {
    const int64_t context = 300, width = 6;
    const Tensor table = sinusoidal_positions(context, width, dtype, Device::cpu);
    EXPECT_EQ(table.shape(), Shape({context, width}));
    EXPECT_EQ(table.dtype(), dtype);
    const std::vector<double> values = values_of(table);
    const double tolerance = dtype == DType::f64 ? 1e-13 : 1e-7;
    const auto at = [&](int64_t t, int64_t c) { return values[t * width + c]; };
    EXPECT_EQ(std::vector<double>(values.begin(), values.begin() + 6),
              (std::vector<double>{0, 1, 0, 1, 0, 1}));
    EXPECT_NEAR(at(1, 0), std::sin(1.0), tolerance);
    EXPECT_NEAR(at(1, 1), std::cos(1.0), tolerance);
    EXPECT_NEAR(at(7, 2), std::sin(7.0 / std::pow(10000.0, 2.0 / 6.0)), tolerance);
    EXPECT_NEAR(at(7, 3), std::cos(7.0 / std::pow(10000.0, 2.0 / 6.0)), tolerance);
    EXPECT_NEAR(at(299, 4), std::sin(299.0 / std::pow(10000.0, 4.0 / 6.0)), tolerance);
    EXPECT_NEAR(at(299, 5), std::cos(299.0 / std::pow(10000.0, 4.0 / 6.0)), tolerance);
  }
  // An odd width ends with a sine.
  const std::vector<double> odd = values_of(sinusoidal_positions(2, 3, DType::f64, Device::cpu));
  EXPECT_NEAR(odd[5], std::sin(1.0 / std::pow(10000.0, 2.0 / 3.0)), 1e-15);
}

TEST(Positions, LearnedIsAParameterAndSinusoidalIsNot) {
  ParameterStore store(DType::f64);
  const PositionalEncoding learned(Scope(store) / "p", Positions::learned, 7, 4);
  const PositionalEncoding fixed(Scope(store) / "q", Positions::sinusoidal, 7, 4);
  store.initialize(1);
  EXPECT_EQ(store.parameters().size(), 1u);
  for (DType dtype : {DType::f64, DType::f32}) {
    const Tensor like({1}, dtype);
    const Variable table = fixed(like);
    EXPECT_FALSE(table.needs_grad());
    EXPECT_EQ(table.value.dtype(), dtype);
    EXPECT_EQ(values_of(table.value), values_of(sinusoidal_positions(7, 4, dtype, Device::cpu)));
  }
  const Variable table = learned(Tensor({1}, DType::f64));
  EXPECT_TRUE(table.needs_grad());
  EXPECT_EQ(table.shape(), Shape({7, 4}));
  EXPECT_EQ(table.value.raw(), store.find("p.weight").value.raw());
}

}  // namespace
}  // namespace folio
