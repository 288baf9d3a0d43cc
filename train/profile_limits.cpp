#include "folio/train/profile_limits.h"

#include <algorithm>
#include <bit>
#include <chrono>
#include <cmath>
#include <limits>

#include "folio/kernels/kernels.h"

namespace folio {
namespace {

using Clock = std::chrono::steady_clock;

/// The shortest of many runs, after one to warm up: a hundred, or as many as a fifth of a second
/// has room for, but at least five.
template <class Run>
double best_seconds(const Run& run) {
  run();
  double best = std::numeric_limits<double>::infinity(), sum = 0.0;
  for (int i = 0; i < 5 || (i < 100 && sum < 0.2); ++i) {
    const auto start = Clock::now();
    run();
    const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
    best = std::min(best, seconds);
    sum += seconds;
  }
  return best;
}

/// Ordinary numbers: products are slow among denormal ones.
Tensor numbers(int64_t count, DType dtype = DType::f32) {
  Tensor tensor({count}, dtype);
  kernels_for(Device::cpu).fill(tensor, 0.01);
  return tensor;
}

}  // namespace

double MachineLimits::product_seconds(const MatrixProduct& product) {
  const auto known = products_.find(product);
  if (known != products_.end()) return known->second;
  const MatrixProduct& p = product;
  const Tensor a = numbers(p.count * p.m * p.k, p.values);
  const Tensor b = numbers(p.count * p.k * p.n, p.values);
  const Tensor c = numbers(p.count * p.m * p.n, p.result);
  return products_[product] = best_seconds([&] { library_product(p, a, b, c); });
}

double MachineLimits::copy_seconds(double bytes) {
  if (bytes <= 0.0) return 0.0;
  constexpr double smallest = 0x1p16, largest = 0x1p29;
  const auto size = static_cast<int64_t>(
      std::bit_ceil(static_cast<uint64_t>(std::ceil(std::clamp(bytes, smallest, largest)))));
  double& rate = copies_[size];
  if (rate == 0.0) {
    const Tensor x = numbers(size / 8), y = numbers(size / 8);
    const Kernels& kernels = kernels_for(Device::cpu);
    rate = static_cast<double>(size) / best_seconds([&] { kernels.copy({&y, false}, x); });
  }
  return bytes / rate;
}

}  // namespace folio
