#include "folio/inspect/welch_test.h"

#include <boost/math/distributions/students_t.hpp>
#include <cmath>
#include <limits>

#include "folio/tensor/error.h"

namespace folio {
namespace {

using boost::math::policies::domain_error, boost::math::policies::ignore_error;
/// Student's t distribution, which returns NaN for NaN instead of throwing.
using StudentsT =
    boost::math::students_t_distribution<double,
                                         boost::math::policies::policy<domain_error<ignore_error>>>;

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

double student_two_sided(double t, double degrees) {
  return 2.0 * cdf(complement(StudentsT(degrees), std::abs(t)));
}

double student_critical(double p, double degrees) {
  return quantile(complement(StudentsT(degrees), 0.5 * p));
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
