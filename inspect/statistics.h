// Whether the means of two small samples differ.
#pragma once

#include <span>

namespace folio {

struct SampleStatistics {
  int count = 0;
  double mean = 0.0;
  double deviation = 0.0;  // with n - 1; NaN of fewer than two
};

SampleStatistics statistics_of(std::span<const double> values);

/// Welch's test of two means whose variances may differ (B. L. Welch 1947, "The generalization of
/// 'Student's' problem when several different population variances are involved", Biometrika 34).
struct WelchTest {
  double difference = 0.0;       // mean of b minus mean of a
  double t = 0.0;                // difference / sqrt(sa^2 / na + sb^2 / nb)
  double degrees = 0.0;          // Welch-Satterthwaite
  double p = 1.0;                // two-sided
  double low = 0.0, high = 0.0;  // of the difference, at the confidence asked for
};

/// Both of at least two values; throws Error otherwise. Without any spread in either, t is infinite
/// where the means differ, and p is 0 or 1.
WelchTest welch_test(const SampleStatistics& a, const SampleStatistics& b, double confidence);

/// P(|T| >= |t|) of Student's t with `degrees` of freedom: I_x(degrees / 2, 1 / 2) with
/// x = degrees / (degrees + t^2) (Abramowitz and Stegun 1964, 26.7.1 and 26.5.27).
double student_two_sided(double t, double degrees);

/// The t at which student_two_sided() is `p`, 0 < p < 1.
double student_critical(double p, double degrees);

/// The regularized incomplete beta function I_x(a, b), by its continued fraction (Abramowitz and
/// Stegun 26.5.8), evaluated as W. J. Lentz 1976 does.
double incomplete_beta(double x, double a, double b);

}  // namespace folio
