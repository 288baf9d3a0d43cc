// The kernel sum_over_ranks.
#include <algorithm>
#include <array>
#include <cstdint>

#include "folio/kernels/cpu/pieces.h"
#include "folio/kernels/device_kernels.h"

namespace folio::cpu {
namespace {

/// Adds elements of type T in Sum, block by block: every term of a block is read before the block
/// is written, so that one of the terms may be y itself.
template <class T, class Sum>
void add(GradTarget y, const Tensor& own, int64_t rank, const Tensor& received, int64_t count) {
  constexpr int64_t block = 2048;
  T* out = elements<T>(*y.tensor);
  const int64_t n = y.tensor->numel();
  parallel_for(n, grain_elements, [&](int64_t begin, int64_t end) {
    std::array<Sum, block> sums;
    for (int64_t first = begin; first < end; first += block) {
      const int64_t size = std::min(block, end - first);
      bool begun = y.accumulate;
      if (begun) std::copy_n(out + first, size, sums.data());
      for (int64_t r = 0; r < count; ++r) {
        const T* x = r == rank ? elements<T>(own) : elements<T>(received) + r * n;
        if (begun) {
          for (int64_t i = 0; i < size; ++i) sums[i] += static_cast<Sum>(x[first + i]);
        } else {  // not 0 + x: 0 + -0 would be +0
          std::copy_n(x + first, size, sums.data());
        }
        begun = true;
      }
      if (!begun) std::fill_n(sums.data(), size, Sum{});
      std::transform(sums.data(), sums.data() + size, out + first,
                     [](Sum x) { return static_cast<T>(x); });
    }
  });
}

}  // namespace

void sum_over_ranks(GradTarget y, const Tensor& own, int64_t rank, const Tensor& received,
                    int64_t count) {
  if (!y) return;
  switch (y.tensor->dtype()) {
    case DType::f32:
      return add<float, float>(y, own, rank, received, count);
    case DType::bf16:
      return add<bf16, float>(y, own, rank, received, count);
    case DType::i32:
      return add<int32_t, int32_t>(y, own, rank, received, count);
    case DType::f64:
      return add<double, double>(y, own, rank, received, count);
  }
}

}  // namespace folio::cpu
