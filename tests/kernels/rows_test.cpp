#include "folio/kernels/cpu/rows.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "kernel_checks.h"

namespace folio {
namespace {

template <class T>
class Rows : public testing::Test {
 public:
  static constexpr double tolerance = sizeof(T) == 4 ? 1e-6 : 1e-13;
};
using Floats = testing::Types<float, double>;
TYPED_TEST_SUITE(Rows, Floats);

template <class T>
std::vector<T> as(const std::vector<double>& values) {
  return {values.begin(), values.end()};
}
template <class T>
std::vector<double> wide(const std::vector<T>& values) {
  return {values.begin(), values.end()};
}

TYPED_TEST(Rows, ProbabilitiesAndLogSums) {
  using T = TypeParam;
  for (const int64_t columns : {1, 3, 17, 64, 65, 1000, 5000}) {
    for (const int64_t extra : {0, 5}) {
      SCOPED_TRACE(testing::Message() << columns << " columns, stride +" << extra);
      const int64_t stride = columns + extra;
      const std::vector<int64_t> visible = {0, 1, columns / 2, columns - 1, columns};
      const auto rows = static_cast<int64_t>(visible.size());
      const double scale = 0.25;
      const auto scores = numbers(rows * stride, 1, -30.0, 30.0);
      std::vector<double> expected = scores, expected_log(visible.size());
      for (size_t r = 0; r < visible.size(); ++r) {
        double* row = expected.data() + static_cast<int64_t>(r) * stride;
        double sum = 0.0;
        for (int64_t i = 0; i < visible[r]; ++i) sum += std::exp(scale * row[i]);
        for (int64_t i = 0; i < columns; ++i) {
          row[i] = i < visible[r] ? std::exp(scale * row[i]) / sum : 0.0;
        }
        expected_log[r] = visible[r] > 0 ? std::log(sum) : 0.0;
      }
      auto actual = as<T>(scores);
      std::vector<T> log_sum(visible.size(), T{-1});
      cpu::exp_rows(dtype_of<T>, actual.data(), rows, columns, stride, visible.data(), scale,
                    log_sum.data());
      expect_each_near(wide(actual), expected, this->tolerance);
      expect_each_near(wide(log_sum), expected_log, this->tolerance);
      auto again = as<T>(scores);
      cpu::recompute_rows(dtype_of<T>, again.data(), rows, columns, stride, visible.data(), scale,
                          log_sum.data());
      expect_each_near(wide(again), expected, this->tolerance * 4);
    }
  }
}

TYPED_TEST(Rows, IgnoresScoresOfMinusInfinity) {
  using T = TypeParam;
  constexpr T hidden = -std::numeric_limits<T>::infinity();
  const std::vector<T> scores = {hidden, 0, 0, hidden, hidden, hidden, hidden, hidden};
  const std::vector<int64_t> visible = {4, 4};
  const std::vector<double> expected = {0, 0.5, 0.5, 0, 0, 0, 0, 0};
  auto actual = scores;
  std::vector<T> log_sum(2);
  cpu::exp_rows(dtype_of<T>, actual.data(), 2, 4, 4, visible.data(), 1.0, log_sum.data());
  expect_each_near(wide(actual), expected, this->tolerance);
  expect_each_near(wide(log_sum), {std::log(2.0), 0.0}, this->tolerance);
  auto again = scores;
  cpu::recompute_rows(dtype_of<T>, again.data(), 2, 4, 4, visible.data(), 1.0, log_sum.data());
  expect_each_near(wide(again), expected, this->tolerance);
}

TYPED_TEST(Rows, SoftmaxBackward) {
  using T = TypeParam;
  for (const int64_t columns : {1, 3, 17, 64, 65}) {
    const int64_t rows = 3, stride = columns + 2;
    const auto dp = numbers(rows * stride, 1), p = numbers(rows * stride, 2, 0.0, 1.0);
    const auto delta = numbers(rows, 3);
    auto expected = dp;
    for (int64_t r = 0; r < rows; ++r) {
      for (int64_t i = r * stride; i < r * stride + columns; ++i) {
        expected[i] = p[i] * (dp[i] - delta[r]) * 0.125;
      }
    }
    auto actual = as<T>(dp);
    cpu::softmax_backward_rows(dtype_of<T>, actual.data(), as<T>(p).data(), rows, columns, stride,
                               as<T>(delta).data(), 0.125);
    expect_each_near(wide(actual), expected, this->tolerance);
  }
}

TYPED_TEST(Rows, DropoutCountsFromTheFirstIndex) {
  using T = TypeParam;
  const uint64_t unused = 1000;  // dropout_row() does not add the mask's first index
  const DropoutMask mask{0.25, {5, purpose_of("attention"), 3}, unused};
  for (const int64_t n : {1, 3, 17, 64, 65, 3000}) {
    for (const uint64_t first : {0ull, 1ull, 2ull, 3ull, 4294967295ull, 77777777777ull}) {
      const auto x = numbers(n, 1);
      std::vector<double> expected(x);
      for (size_t i = 0; i < x.size(); ++i) {
        const bool kept = mask.stream.bits(first + i) >= mask.threshold();
        expected[i] = kept ? x[i] * mask.scale() : 0.0;
      }
      auto actual = as<T>(x);
      cpu::dropout_row(dtype_of<T>, actual.data(), actual.data(), n, mask, first);
      expect_each_near(wide(actual), expected, this->tolerance);
    }
  }
}

TYPED_TEST(Rows, Dots) {
  using T = TypeParam;
  constexpr int64_t rows = 3;
  for (const int64_t n : {0, 1, 3, 17, 64, 65, 10000}) {
    const int64_t stride_a = n + 5, stride_b = n + 1;
    const auto a = numbers(rows * stride_a, 1), b = numbers(rows * stride_b, 2);
    std::vector<T> dots(rows);
    cpu::dot_rows(dtype_of<T>, dots.data(), as<T>(a).data(), stride_a, as<T>(b).data(), stride_b,
                  rows, n);
    for (int64_t r = 0; r < rows; ++r) {
      double sum = 0.0;
      for (int64_t i = 0; i < n; ++i) sum += a[r * stride_a + i] * b[r * stride_b + i];
      EXPECT_NEAR(dots[r], sum, this->tolerance * 20) << "row " << r << " of " << n;
    }
  }
}

}  // namespace
}  // namespace folio
