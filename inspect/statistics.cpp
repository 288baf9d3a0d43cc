#include "folio/inspect/statistics.h"

#include <cmath>
#include <limits>

#include "folio/tensor/error.h"

namespace folio {
namespace {

/// The continued fraction of 26.5.8, which converges fast for x < (a + 1) / (a + b + 2).
double beta_fraction(double x, double a, double b) {
  constexpr double tiny = 1e-300;
  constexpr int most_terms = 1000;
  const auto not_zero = [](double value) { return std::abs(value) < tiny ? tiny : value; };
  double c = 1.0;
  double d = 1.0 / not_zero(1.0 - (a + b) * x / (a + 1.0));
  double result = d;
  for (int m = 1; m <= most_terms; ++m) {
    for (const double term : {m * (b - m) * x / ((a + 2 * m - 1.0) * (a + 2 * m)),
                              -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1.0))}) {
      d = 1.0 / not_zero(1.0 + term * d);
      c = not_zero(1.0 + term / c);
      result *= c * d;
    }
    if (std::abs(c * d - 1.0) < 1e-15) break;
  }
  return result;
}

}  // namespace

SampleStatistics statistics_of(std::span<const double> values) {
  SampleStatistics result{.count = static_cast<int>(values.size()),
                          .mean = 0.0,
                          .deviation = std::numeric_limits<double>::quiet_NaN()};
  const auto n = static_cast<double>(values.size());
  for (const double value : values) result.mean += value / n;
  if (values.size() < 2) return result;
  double squares = 0.0;
  for (const double value : values) squares += (value - result.mean) * (value - result.mean);
  result.deviation = std::sqrt(squares / (n - 1.0));
  return result;
}

double incomplete_beta(double x, double a, double b) {
  if (x <= 0.0) return 0.0;
  if (x >= 1.0) return 1.0;
  const double front = std::exp(std::lgamma(a + b) - std::lgamma(a) - std::lgamma(b) +
                                a * std::log(x) + b * std::log1p(-x));
  if (x < (a + 1.0) / (a + b + 2.0)) return front * beta_fraction(x, a, b) / a;
  return 1.0 - front * beta_fraction(1.0 - x, b, a) / b;
}

double student_two_sided(double t, double degrees) {
  return incomplete_beta(degrees / (degrees + t * t), 0.5 * degrees, 0.5);
}

double student_critical(double p, double degrees) {
  double low = 0.0, high = 1.0;
  while (student_two_sided(high, degrees) > p && high < 1e12) high *= 2.0;
  for (int i = 0; i < 200 && high - low > 1e-14 * high; ++i) {
    const double middle = 0.5 * (low + high);
    (student_two_sided(middle, degrees) > p ? low : high) = middle;
  }
  return 0.5 * (low + high);
}

WelchTest welch_test(const SampleStatistics& a, const SampleStatistics& b, double confidence) {
  FOLIO_CHECK(a.count >= 2 && b.count >= 2, "welch_test",
              "the samples have {} and {} values; wanted at least 2 of each", a.count, b.count);
  const double va = a.deviation * a.deviation / a.count, vb = b.deviation * b.deviation / b.count;
  WelchTest test;
  test.difference = b.mean - a.mean;
  if (va + vb == 0.0) {
    const bool same = test.difference == 0.0;
    test.t = same ? 0.0 : std::copysign(std::numeric_limits<double>::infinity(), test.difference);
    test.degrees = a.count + b.count - 2;
    test.p = same ? 1.0 : 0.0;
    test.low = test.high = test.difference;
    return test;
  }
  test.t = test.difference / std::sqrt(va + vb);
  test.degrees = (va + vb) * (va + vb) / (va * va / (a.count - 1) + vb * vb / (b.count - 1));
  test.p = student_two_sided(test.t, test.degrees);
  const double reach = student_critical(1.0 - confidence, test.degrees) * std::sqrt(va + vb);
  test.low = test.difference - reach;
  test.high = test.difference + reach;
  return test;
}

}  // namespace folio
