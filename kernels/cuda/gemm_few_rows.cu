// Products of very few rows: gemm_few_rows().
#include <cstdint>

#include "folio/kernels/cuda/gemm_few_rows.h"
#include "folio/kernels/cuda/reduce.h"

namespace folio::cuda {
namespace {

// Each column of the result, which is a row of b, is computed by one warp.
constexpr int warps = 4, threads = 32 * warps, width = 8, most_rows = 4;

template <int count, int rows, class T>
__device__ void add_products(float (&sums)[rows], const T* a, int64_t lda, const T* b) {
  const Pack<T, count> weights = load_pack<count>(b);
  for (int r = 0; r < rows; ++r) {
    const Pack<T, count> x = load_pack<count>(a + r * lda);
    for (int j = 0; j < count; ++j) sums[r] += widen(x.at[j]) * widen(weights.at[j]);
  }
}

template <int rows, class C, class T>
__global__ void few_rows_kernel(C* c, bool accumulate, const T* a, int64_t lda, const T* b,
                                int64_t ldb, int64_t n, int64_t k, bool packed) {
  const int64_t column = int64_t{blockIdx.x} * warps + threadIdx.x / 32;
  if (column >= n) return;  // the whole warp returns
  b += column * ldb;
  const int lane = threadIdx.x % 32;
  float sums[rows] = {};
  if (packed) {
    for (int64_t i = lane * width; i < k; i += 32 * width) {
      add_products<width>(sums, a + i, lda, b + i);
    }
  } else {
    for (int64_t i = lane; i < k; i += 32) add_products<1>(sums, a + i, lda, b + i);
  }
  for (int r = 0; r < rows; ++r) {
    const float sum = warp_reduce<Add>(sums[r]);
    if (lane == 0) write_sum(c + r * n + column, accumulate, sum);
  }
}

}  // namespace

bool has_few_rows(const MatrixProduct& p) {
  return p.m <= most_rows && p.count == 1 && !p.transpose_a && p.transpose_b;
}

void gemm_few_rows(const MatrixProduct& p, const void* a, const void* b, void* c) {
  with_types(p.result, p.values, [&]<class C, class T>(Type<C>, Type<T>) {
    constexpr size_t bytes = width * sizeof(T);
    const bool packed = p.k % width == 0 && p.lda % width == 0 && p.ldb % width == 0 &&
                        aligned(a, bytes) && aligned(b, bytes);
    const auto run = [&](auto kernel) {
      launch("gemm_few_rows", {pieces_of(p.n, warps), threads}, kernel, static_cast<C*>(c),
             p.accumulate, static_cast<const T*>(a), p.lda, static_cast<const T*>(b), p.ldb, p.n,
             p.k, packed);
    };
    switch (p.m) {
      case 1:
        return run(few_rows_kernel<1, C, T>);
      case 2:
        return run(few_rows_kernel<2, C, T>);
      case 3:
        return run(few_rows_kernel<3, C, T>);
      default:
        return run(few_rows_kernel<4, C, T>);
    }
  });
}

}  // namespace folio::cuda
