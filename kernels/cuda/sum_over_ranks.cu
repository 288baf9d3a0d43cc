#include <type_traits>

#include "folio/kernels/cuda/element.h"
#include "folio/kernels/cuda/launch.h"
#include "folio/kernels/cuda/sum_over_ranks.h"
#include "folio/kernels/cuda/types.h"
#include "folio/kernels/device_kernels.h"

namespace folio::cuda {
namespace {

constexpr int threads = 256, width = 4;  // elements that a thread sums

template <class Sum, class T>
__device__ Sum as_sum(T x) {
  if constexpr (std::is_same_v<T, bf16>) {
    return widen(x);
  } else {
    return x;
  }
}

template <class T, class Sum>
__global__ void sum_over_ranks_kernel(T* sum, bool accumulate, int64_t n, const T* own,
                                      int64_t rank, const T* received, int64_t count) {
  const int64_t first = int64_t{blockIdx.x} * threads * width + threadIdx.x;
  for (int j = 0; j < width; ++j) {
    const int64_t i = first + j * threads;
    if (i >= n) return;
    Sum total = accumulate ? as_sum<Sum>(sum[i]) : Sum{};
    for (int64_t r = 0; r < count; ++r) {
      const Sum x = as_sum<Sum>(r == rank ? own[i] : received[r * n + i]);
      total = r == 0 && !accumulate ? x : total + x;  // not 0 + x: 0 + -0 would be +0
    }
    if constexpr (std::is_same_v<T, bf16>) {
      sum[i] = narrow<bf16>(total);
    } else {
      sum[i] = total;
    }
  }
}

template <class T, class Sum>
void add(GradTarget y, const Tensor& own, int64_t rank, const Tensor& received, int64_t count,
         CUstream_st* stream) {
  const int64_t n = y.tensor->numel();
  launch("sum_over_ranks",
         {.blocks = pieces_of(n, threads * width), .threads = threads, .stream = stream},
         sum_over_ranks_kernel<T, Sum>, elements<T>(*y.tensor), y.accumulate, n,
         elements<const T>(own), rank, elements<const T>(received), count);
}

}  // namespace

void sum_over_ranks(GradTarget y, const Tensor& own, int64_t rank, const Tensor& received,
                    int64_t count, CUstream_st* stream) {
  if (!y) return;
  switch (y.tensor->dtype()) {
    case DType::f32:
      return add<float, float>(y, own, rank, received, count, stream);
    case DType::bf16:
      return add<bf16, float>(y, own, rank, received, count, stream);
    case DType::i32:
      return add<int32_t, int32_t>(y, own, rank, received, count, stream);
    case DType::f64:
      return add<double, double>(y, own, rank, received, count, stream);
  }
}

void sum_over_ranks(GradTarget y, const Tensor& own, int64_t rank, const Tensor& received,
                    int64_t count) {
  sum_over_ranks(y, own, rank, received, count, Context::get().stream());
}

}  // namespace folio::cuda
