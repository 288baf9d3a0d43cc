#include <type_traits>

#include "folio/kernels/cuda/element.h"
#include "folio/kernels/cuda/launch.h"
#include "folio/kernels/cuda/ordered_sum.h"
#include "folio/kernels/cuda/types.h"

namespace folio::cuda {
namespace {

constexpr int threads = 256, width = 4;  // elements a thread adds up

template <class Sum, class T>
__device__ Sum as_sum(T x) {
  if constexpr (std::is_same_v<T, bf16>) {
    return widen(x);
  } else {
    return x;
  }
}

template <class T, class Sum>
__global__ void ordered_sum_kernel(T* sum, bool accumulate, int64_t n, const T* own, int rank,
                                   const T* received, int count) {
  const int64_t first = int64_t{blockIdx.x} * threads * width + threadIdx.x;
  for (int j = 0; j < width; ++j) {
    const int64_t i = first + j * threads;
    if (i >= n) return;
    Sum total = accumulate ? as_sum<Sum>(sum[i]) : Sum{};
    for (int r = 0; r < count; ++r) {
      const Sum x = as_sum<Sum>(r == rank ? own[i] : received[r * n + i]);
      total = r == 0 && !accumulate ? x : total + x;  // 0 + -0 would be +0
    }
    if constexpr (std::is_same_v<T, bf16>) {
      sum[i] = narrow<bf16>(total);
    } else {
      sum[i] = total;
    }
  }
}

template <class T, class Sum>
void add(GradTarget sum, const Brought& brought, CUstream_st* stream) {
  const int64_t n = sum.tensor->numel();
  launch("ordered_sum",
         {.blocks = pieces_of(n, threads * width), .threads = threads, .stream = stream},
         ordered_sum_kernel<T, Sum>, elements<T>(*sum.tensor), sum.accumulate, n,
         static_cast<const T*>(brought.own), brought.rank, static_cast<const T*>(brought.received),
         brought.count);
}

}  // namespace

void ordered_sum(GradTarget sum, const Brought& brought, CUstream_st* stream) {
  switch (sum.tensor->dtype()) {
    case DType::f32:
      return add<float, float>(sum, brought, stream);
    case DType::bf16:
      return add<bf16, float>(sum, brought, stream);
    case DType::i32:
      return add<int32_t, int32_t>(sum, brought, stream);
    case DType::f64:
      return add<double, double>(sum, brought, stream);
  }
}

}  // namespace folio::cuda
