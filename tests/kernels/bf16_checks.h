// Compares kernels in bf16 with the same kernels in f64, which the other tests compare with
// references.
#pragma once

#include <cmath>
#include <cstdint>
#include <vector>

#include "kernel_checks.h"

namespace folio {

/// Numbers that bf16 represents exactly, so that both types compute with the same inputs.
inline std::vector<double> coarse(int64_t count, uint64_t seed, double low = -1.0,
                                  double high = 1.0) {
  std::vector<double> values = numbers(count, seed, low, high);
  for (double& value : values) value = bf16(static_cast<float>(value));
  return values;
}
inline Tensor coarse_tensor(const Shape& shape, uint64_t seed, DType dtype, double low = -1.0,
                            double high = 1.0) {
  return tensor_of(shape, coarse(shape.numel(), seed, low, high), dtype);
}

/// The tolerance for results of about 1 that are rounded once: half a unit in the last place.
inline constexpr double one_rounding = 0.5 / 128 + 1e-5;

/// compute(dtype) returns tensors of that type, or accumulators, which are compared more strictly.
/// Those of bf16 must agree with those of f64.
template <class Compute>
void expect_bf16_outputs(const Compute& compute, double tolerance = one_rounding) {
  const std::vector<Tensor> exact = compute(DType::f64), narrow = compute(DType::bf16);
  ASSERT_EQ(exact.size(), narrow.size());
  for (size_t i = 0; i < exact.size(); ++i) {
    SCOPED_TRACE(testing::Message() << "output " << i << " in " << name_of(narrow[i].dtype()));
    ASSERT_NE(narrow[i].dtype(), DType::f64);
    expect_each_near(narrow[i], values_of(exact[i]),
                     narrow[i].dtype() == DType::bf16 ? tolerance : 5e-5);
  }
}

/// kernel(dtype, target) computes a gradient from values of that type. With bf16 values the result
/// must agree with f64 in targets of bf16 and of f32, overwritten and accumulated.
template <class Kernel>
void expect_bf16_target(const Shape& shape, const Kernel& kernel, double tolerance = one_rounding) {
  const Tensor exact(shape, DType::f64);
  kernel(DType::f64, GradTarget{&exact, false});
  const std::vector<double> expected = values_of(exact), base = coarse(shape.numel(), 99);
  std::vector<double> sum = expected;
  for (size_t i = 0; i < base.size(); ++i) sum[i] += base[i];
  for (const DType type : {DType::bf16, DType::f32}) {
    SCOPED_TRACE(testing::Message() << "target in " << name_of(type));
    const double allowed = type == DType::bf16 ? tolerance : 5e-5;
    const Tensor fresh = tensor_of(shape, std::vector<double>(expected.size(), std::nan("")), type);
    kernel(DType::bf16, GradTarget{&fresh, false});
    expect_each_near(fresh, expected, allowed);
    const Tensor accumulated = tensor_of(shape, base, type);
    kernel(DType::bf16, GradTarget{&accumulated, true});
    expect_each_near(accumulated, sum, allowed);
  }
}

}  // namespace folio
