#include <cstdint>
#include <utility>
#include <vector>

#include "kernel_checks.h"

namespace folio {
namespace {

constexpr int64_t n = 20'000;

/// The terms of three ranks. In f32, (x0 + x1) + x2 is 0 and x0 + (x1 + x2) is 1.
Tensor terms(DType dtype) {
  std::vector<double> values;
  for (const double x : {1.0, 16777216.0, -16777216.0}) values.insert(values.end(), n, x);
  if (dtype == DType::i32) return Tensor::from<int32_t>({3 * n}, {values.begin(), values.end()});
  return tensor_of({3 * n}, values, dtype);
}

double first_of(const Tensor& y) { return y.view(n - 1, {1}).item(); }

TEST(SumOverRanks, AddsInTheOrderOfTheRanksAndRoundsOnce) {
  for (const auto& [dtype, sum] : {std::pair(DType::f32, 0.0), std::pair(DType::bf16, 0.0),
                                   std::pair(DType::f64, 1.0), std::pair(DType::i32, 1.0)}) {
    SCOPED_TRACE(name_of(dtype));
    const Tensor received = terms(dtype), y({n}, dtype);
    const auto add = [&](const Tensor& target, bool accumulate, int64_t count) {
      tested_kernels().sum_over_ranks({&target, accumulate}, target, 0, received, count);
      return first_of(target);
    };
    const auto set = [&](double value) { tested_kernels().fill(y, value); };
    set(1.0);  // y is the term of rank 0, its place in `received` is not read
    tested_kernels().fill(received.view(0, {n}), 99.0);
    EXPECT_EQ(add(y, false, 3), sum);
    set(3.0);
    EXPECT_EQ(add(y, false, 1), 3.0);
    EXPECT_EQ(add(y, false, 0), 0.0);
    set(2.0);
    EXPECT_EQ(add(y, true, 0), 2.0);
    // None of the terms is in `own`.
    tested_kernels().sum_over_ranks({&y, true}, Tensor(), -1, received, 1);
    EXPECT_EQ(first_of(y), 101.0);
  }
}

TEST(SumOverRanks, RoundsBf16Once) {
  // 256 + 1 + 1 = 258, but 256 + 1 is 256 in bf16.
  std::vector<double> values(3, 1.0);
  values[0] = 256.0;
  const Tensor received = tensor_of({3}, values, DType::bf16), y({1}, DType::bf16);
  tested_kernels().sum_over_ranks({&y, false}, Tensor(), -1, received, 3);
  EXPECT_EQ(y.item(), 258.0);
}

}  // namespace
}  // namespace folio
