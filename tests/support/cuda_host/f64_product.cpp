#include "f64_product.h"

#include <cmath>
#include <cstring>
#include <limits>

namespace cuda_host {

void add_product(double* c, const double* a, const double* b, int64_t m, int64_t n, int64_t k) {
  for (int64_t i = 0; i < m; ++i) {
    for (int64_t l = 0; l < k; ++l) {
      const double factor = a[i * k + l];
      const double* row = b + l * n;
      double* sums = c + i * n;
      for (int64_t j = 0; j < n; ++j) sums[j] += factor * row[j];
    }
  }
}

double widen_bf16(uint16_t bits) {
  const uint32_t wide = uint32_t{bits} << 16;
  float value;
  memcpy(&value, &wide, sizeof(value));
  return value;
}

namespace {

/// To `bits` bits behind the leading one, of numbers that f32's exponents reach.
double rounded(double value, int bits) {
  if (!std::isfinite(value) || value == 0.0) return value;
  int exponent;
  std::frexp(value, &exponent);  // value = f 2^exponent, f in [0.5, 1)
  exponent = exponent < -125 ? -125 : exponent;
  const double unit = std::ldexp(1.0, exponent - 1 - bits);
  return std::nearbyint(value / unit) * unit;
}

}  // namespace

uint16_t round_to_bf16(double value) {
  auto narrow = static_cast<float>(rounded(value, 7));
  if (std::isnan(narrow)) narrow = std::numeric_limits<float>::quiet_NaN();
  uint32_t bits;
  memcpy(&bits, &narrow, sizeof(bits));
  return static_cast<uint16_t>(bits >> 16);
}

double round_to_tf32(double value) { return rounded(value, 10); }

}  // namespace cuda_host
