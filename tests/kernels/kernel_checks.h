// Checks for kernels: comparison with a reference in f64, and with different numbers of threads.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "folio/kernels/kernels.h"
#include "folio/kernels/process.h"
#include "folio/tensor/random.h"
#include "folio/tensor/tensor.h"
#include "support/device_bridge.h"
#include "support/gradcheck.h"

namespace folio {

inline constexpr DType floating_types[] = {DType::f32, DType::f64};
inline constexpr double infinity = std::numeric_limits<double>::infinity();

/// Numbers in [low, high) that f32 represents exactly.
inline std::vector<double> numbers(int64_t count, uint64_t seed, double low = -1.0,
                                   double high = 1.0) {
  return values_of(random_tensor({count}, seed, low, high));
}

/// The tolerance for results of size 1 or so: `f32` for f32, far less for f64.
inline double tolerance_for(DType dtype, double f32) { return dtype == DType::f32 ? f32 : 1e-13; }

/// |actual - expected| <= tolerance * max(1, |expected|) for every element; NaN where NaN is
/// expected, infinities exactly.
inline void expect_each_near(const std::vector<double>& actual, const std::vector<double>& expected,
                             double tolerance) {
  ASSERT_EQ(actual.size(), expected.size());
  for (size_t i = 0; i < actual.size(); ++i) {
    if (std::isnan(expected[i])) {
      ASSERT_TRUE(std::isnan(actual[i])) << "element " << i << " is " << actual[i];
    } else if (std::isinf(expected[i])) {
      ASSERT_EQ(actual[i], expected[i]) << "element " << i;
    } else {
      ASSERT_NEAR(actual[i], expected[i], tolerance * std::max(1.0, std::abs(expected[i])))
          << "element " << i;
    }
  }
}

inline void expect_each_near(const Tensor& actual, const std::vector<double>& expected,
                             double tolerance) {
  expect_each_near(values_of(actual), expected, tolerance);
}

/// Calls kernel(GradTarget) to overwrite what was NaN, then to accumulate onto other numbers.
template <class Kernel>
void expect_target(const Shape& shape, DType dtype, const std::vector<double>& expected,
                   double tolerance, const Kernel& kernel) {
  const std::vector<double> nan(expected.size(), std::nan(""));
  const Tensor fresh = tensor_of(shape, nan, dtype);
  kernel(GradTarget{&fresh, false});
  {
    SCOPED_TRACE("overwritten");
    expect_each_near(fresh, expected, tolerance);
  }
  const std::vector<double> base = numbers(shape.numel(), 99);
  const Tensor sum = tensor_of(shape, base, dtype);
  kernel(GradTarget{&sum, true});
  std::vector<double> expected_sum(expected);
  for (size_t i = 0; i < base.size(); ++i) expected_sum[i] += base[i];
  SCOPED_TRACE("accumulated");
  expect_each_near(sum, expected_sum, tolerance);
}

/// Expects the tensors that `compute` returns to be the same bits with 1, 2 and 3 threads.
template <class Compute>
void expect_same_with_any_threads(const Compute& compute) {
  const int before = threads();
  set_threads(1);
  const std::vector<Tensor> one = compute();
  for (const int count : {2, 3}) {
    set_threads(count);
    const std::vector<Tensor> many = compute();
    for (size_t i = 0; i < one.size(); ++i) {
      EXPECT_EQ(std::memcmp(one[i].raw(), many[i].raw(), static_cast<size_t>(one[i].bytes())), 0)
          << "output " << i << " with " << count << " threads";
    }
  }
  set_threads(before);
}

}  // namespace folio
