#include <cmath>
#include <cstdint>
#include <vector>

#include "kernel_checks.h"

namespace folio {
namespace {

DropoutMask mask_of(double probability, uint64_t first_index) {
  return {probability, {0x123456789abcdefull, purpose_of("dropout"), 7}, first_index};
}

std::vector<double> dropped(const std::vector<double>& x, const DropoutMask& mask) {
  std::vector<double> y;
  for (size_t i = 0; i < x.size(); ++i) {
    const bool kept = mask.stream.bits(mask.first_index + i) >= mask.threshold();
    y.push_back(kept ? x[i] * mask.scale() : 0.0);
  }
  return y;
}

TEST(DropoutKernel, AgreesWithTheStream) {
  for (const DType dtype : floating_types) {
    for (const int64_t n : {1, 3, 17, 65, 1000, 1027, 40001}) {
      for (const uint64_t first : {0ull, 1ull, 6ull, 4095ull, 0xffffffffull * 4 - 5}) {
        SCOPED_TRACE(testing::Message() << name_of(dtype) << " of " << n << " from " << first);
        const DropoutMask mask = mask_of(0.3, first);
        const auto values = numbers(n, 1, 0.5, 1.0);
        const Tensor x = tensor_of({n}, values, dtype);
        expect_target({n}, dtype, dropped(values, mask), tolerance_for(dtype, 2e-7),
                      [&](GradTarget y) { tested_kernels().dropout(y, x, mask); });
      }
    }
  }
}

TEST(DropoutKernel, ProbabilityZeroCopies) {
  const auto values = numbers(100, 2);
  for (const DType dtype : floating_types) {
    const Tensor x = tensor_of({100}, values, dtype);
    expect_target({100}, dtype, values, 1e-7,
                  [&](GradTarget y) { tested_kernels().dropout(y, x, mask_of(0.0, 5)); });
  }
}

TEST(DropoutKernel, KeepsTheProbabilityAndTheMean) {
  const int64_t n = 200000;
  const Tensor x({n}, DType::f32), y({n}, DType::f32);
  tested_kernels().fill(x, 1.0);
  for (const double probability : {0.1, 0.5, 0.9}) {
    tested_kernels().dropout({&y, false}, x, mask_of(probability, 3));
    double sum = 0.0;
    int64_t zeros = 0;
    for (const double v : values_of(y)) {
      sum += v;
      zeros += v == 0.0 ? 1 : 0;
    }
    const double deviation = std::sqrt(probability * (1.0 - probability) / static_cast<double>(n));
    EXPECT_NEAR(static_cast<double>(zeros) / static_cast<double>(n), probability, 5 * deviation);
    EXPECT_NEAR(sum / static_cast<double>(n), 1.0, 5 * deviation / (1.0 - probability));
  }
}

TEST(DropoutKernel, DropsNan) {
  const DropoutMask mask = mask_of(0.5, 0);
  const Tensor x = tensor_of({64}, std::vector<double>(64, std::nan("")), DType::f32);
  const Tensor y({64}, DType::f32);
  tested_kernels().dropout({&y, false}, x, mask);
  const auto values = values_of(y);
  for (size_t i = 0; i < values.size(); ++i) {
    EXPECT_EQ(std::isnan(values[i]), mask.stream.bits(i) >= mask.threshold());
  }
}

TEST(DropoutKernel, SameWithAnyThreads) {
  const int64_t n = 100003;
  const Tensor x = tensor_of({n}, numbers(n, 4), DType::f32);
  expect_same_with_any_threads([&] {
    const Tensor y({n}, DType::f32);
    tested_kernels().dropout({&y, false}, x, mask_of(0.2, 3));
    return std::vector<Tensor>{y};
  });
}

}  // namespace
}  // namespace folio
