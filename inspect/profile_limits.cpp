#include "folio/inspect/profile_limits.h"

#include <algorithm>
#include <bit>
#include <chrono>
#include <cmath>
#include <limits>
#include <utility>

#include "folio/kernels/baseline_gemm.h"
#include "folio/kernels/kernels.h"
#include "folio/tensor/cuda.h"

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

/// The same on the GPU, by its own clock: the best of twenty.
template <class Run>
double best_seconds_on_gpu(const Run& run) {
  CUstream_st* const stream = cuda::Context::get().stream();
  run();
  double best = std::numeric_limits<double>::infinity();
  for (int i = 0; i < 20; ++i) {
    cuda::Event begin(/*timed=*/true), end(/*timed=*/true);
    begin.record(stream);
    run();
    end.record(stream);
    best = std::min(best, end.seconds_since(begin));
  }
  return best;
}

template <class Run>
double best_seconds(Device device, const Run& run) {
  return device == Device::cuda ? best_seconds_on_gpu(run) : best_seconds(run);
}

/// Ordinary numbers: products are slow among denormal ones.
Tensor numbers(const Shape& shape, DType dtype, Device device) {
  const Tensor tensor(shape, dtype, device);
  kernels_for(device).fill(tensor, 0.01);
  return tensor;
}

}  // namespace

double MachineLimits::product_seconds(const MatrixProduct& product) {
  const auto known = products_.find(product);
  if (known != products_.end()) return known->second;
  const MatrixProduct& p = product;
  const auto matrices = [&](int64_t rows, int64_t columns, bool transposed, DType dtype) {
    if (transposed) std::swap(rows, columns);
    return numbers(p.count == 1 ? Shape{rows, columns} : Shape{p.count, rows, columns}, dtype,
                   device_);
  };
  const Tensor a = matrices(p.m, p.k, p.transpose_a, p.values);
  const Tensor b = matrices(p.k, p.n, p.transpose_b, p.values);
  const Tensor c = matrices(p.m, p.n, false, p.result);
  const Kernels& kernels = kernels_for(device_);
  return products_[product] = best_seconds(device_, [&] {
           if (device_ == Device::cpu) return baseline_gemm(p, a, b, c);
           kernels.matmul({&c, p.accumulate}, a, p.transpose_a, b, p.transpose_b);
         });
}

double MachineLimits::copy_seconds(double bytes) {
  if (bytes <= 0.0) return 0.0;
  constexpr double smallest = 0x1p16, largest = 0x1p29;
  const auto size = static_cast<int64_t>(
      std::bit_ceil(static_cast<uint64_t>(std::ceil(std::clamp(bytes, smallest, largest)))));
  double& rate = copies_[size];
  if (rate == 0.0) {
    const Tensor x = numbers({size / 8}, DType::f32, device_);
    const Tensor y = numbers({size / 8}, DType::f32, device_);
    const Kernels& kernels = kernels_for(device_);
    rate = static_cast<double>(size) / best_seconds(device_, [&] { kernels.copy({&y, false}, x); });
  }
  return bytes / rate;
}

}  // namespace folio
