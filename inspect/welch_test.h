// Tests whether the means of two small samples differ.
#pragma once

#include <span>

namespace folio {

struct SampleStatistics {
  int count = 0;
  double mean = 0.0;
  double deviation = 0.0;  // with n - 1; NaN for fewer than two values
};

SampleStatistics statistics_of(std::span<const double> values);

/// Welch's test of two means whose variances may differ (B. L. Welch 1947, "The generalization of
/// 'Student's' problem when several different population variances are involved", Biometrika 34).
struct WelchTest {
  double difference = 0.0;       // mean of b minus mean of a
  double t = 0.0;                // difference / sqrt(sa^2 / na + sb^2 / nb)
  double degrees = 0.0;          // Welch-Satterthwaite
  double p = 1.0;                // two-sided
  double low = 0.0, high = 0.0;  // confidence interval of the difference
};

/// Throws Error unless both samples have at least two values. If neither has any spread, t is
/// infinite if the means differ, and p is 0 or 1.
WelchTest welch_test(const SampleStatistics& a, const SampleStatistics& b, double confidence);

/// P(|T| >= |t|) of Student's t distribution with `degrees` of freedom.
double student_two_sided(double t, double degrees);

/// The t for which student_two_sided() is `p`, with 0 < p < 1.
double student_critical(double p, double degrees);

}  // namespace folio
