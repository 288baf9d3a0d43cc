// Arithmetic of the doubles of libraries: products in f64, of elements of the library's types.
#pragma once

#include <cstddef>
#include <cstdint>

namespace cuda_host {

/// c (m, n) += a (m, k) b (k, n), all packed and row-major.
void add_product(double* c, const double* a, const double* b, int64_t m, int64_t n, int64_t k);

double widen_bf16(uint16_t bits);
/// Rounded once, to nearest even.
uint16_t round_to_bf16(double value);
/// Rounded to 10 bits behind the leading one.
double round_to_tf32(double value);

}  // namespace cuda_host
