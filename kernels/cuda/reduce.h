// Sums over threads and over memory, in a fixed order that depends only on shapes: every run and
// every GPU gives the same bits.
#pragma once

#include <algorithm>
#include <cstdint>

#include "folio/kernels/cuda/element.h"
#include "folio/kernels/cuda/launch.h"
#include "folio/kernels/cuda/types.h"

namespace folio::cuda {

inline constexpr unsigned whole_warp = 0xFFFFFFFFu;

struct Add {
  template <class T>
  __device__ T operator()(T a, T b) const {
    return a + b;
  }
};
struct Max {  // NaN is propagated
  __device__ float operator()(float a, float b) const { return a > b || a != a ? a : b; }
};

/// Reduces one value per thread of a warp; every thread gets the result.
template <class Op, class T>
__device__ T warp_reduce(T value) {
  for (int distance = 16; distance > 0; distance /= 2) {
    value = Op()(value, __shfl_xor_sync(whole_warp, value, distance));
  }
  return value;
}

/// The same for all `threads` threads of a block, a multiple of 32 up to 1024.
template <class Op, int threads, class T>
__device__ T block_reduce(T value) {
  value = warp_reduce<Op>(value);
  if constexpr (threads > 32) {
    __shared__ T of_warp[threads / 32];
    if (threadIdx.x % 32 == 0) of_warp[threadIdx.x / 32] = value;
    __syncthreads();
    value = of_warp[0];
    for (int i = 1; i < threads / 32; ++i) value = Op()(value, of_warp[i]);
    __syncthreads();  // before the next reduction writes
  }
  return value;
}

/// The elements of a tensor as terms of a sum: float operator()(index of an element).
template <class T>
struct Terms {
  const T* x;
  __device__ float operator()(int64_t i) const { return widen(x[i]); }
};

template <class Y>
__device__ void write_sum(Y* y, bool accumulate, float sum) {
  *y = narrow<Y>(accumulate ? widen(*y) + sum : sum);
}

// --- of everything -------------------------------------------------------------------------------

inline constexpr int sum_threads = 256;
inline constexpr int64_t sum_piece = 64 * sum_threads;  // elements that a block sums

template <class F>
__global__ void sum_pieces_kernel(double* partial, int64_t n, F term) {
  const int64_t begin = blockIdx.x * sum_piece;
  const int64_t end = begin + sum_piece < n ? begin + sum_piece : n;
  double sum = 0.0;
  for (int64_t i = begin + threadIdx.x; i < end; i += sum_threads) {
    sum += static_cast<double>(term(i));
  }
  sum = block_reduce<Add, sum_threads>(sum);
  if (threadIdx.x == 0) partial[blockIdx.x] = sum;
}

template <class Y>
__global__ void sum_partials_kernel(Y* y, bool accumulate, const double* partial, int64_t count,
                                    double factor) {
  double sum = 0.0;
  for (int64_t i = threadIdx.x; i < count; i += sum_threads) sum += partial[i];
  sum = block_reduce<Add, sum_threads>(sum);
  if (threadIdx.x == 0) write_sum(y, accumulate, static_cast<float>(factor * sum));
}

/// Memory for `count` doubles; tensors of f64 are not supported on the GPU otherwise.
inline Tensor room_for_doubles(int64_t count) {
  return Tensor({2 * count}, DType::f32, Device::cuda);
}

/// y (one element) = or += factor * the sum of term(0) to term(n - 1).
template <class Y, class F>
void sum_everything(const char* name, Y* y, bool accumulate, int64_t n, const F& term,
                    double factor) {
  const int64_t pieces = pieces_of(n, sum_piece);
  const Tensor room = room_for_doubles(pieces > 0 ? pieces : 1);
  double* partial = elements<double>(room);
  launch(name, {pieces, sum_threads}, sum_pieces_kernel<F>, partial, n, term);
  launch(name, {1, sum_threads}, sum_partials_kernel<Y>, y, accumulate, partial, pieces, factor);
}

// --- of columns ----------------------------------------------------------------------------------

inline constexpr int tile_columns = 32, tile_rows = 8;

/// The number of rows in a partial sum: enough pieces to fill a GPU, few enough that adding them is
/// fast, and at most 256 terms per thread, which keeps rounding errors small.
inline int64_t rows_of_piece(int64_t rows) {
  return std::clamp<int64_t>(pieces_of(rows, 64), 4 * tile_rows, 256 * tile_rows);
}

/// Sums piece blockIdx.y of the rows for 32 columns. out (pieces, columns).
template <class Y, class F>
__global__ void sum_columns_kernel(Y* out, bool accumulate, int64_t rows, int64_t columns,
                                   int64_t piece_rows, F term) {
  __shared__ float sums[tile_rows][tile_columns];
  const int x = threadIdx.x % tile_columns, y = threadIdx.x / tile_columns;
  const int64_t column = int64_t{blockIdx.x} * tile_columns + x;
  const int64_t begin = blockIdx.y * piece_rows;
  const int64_t end = begin + piece_rows < rows ? begin + piece_rows : rows;
  float part[4] = {};  // so that four loads are in flight at a time
  if (column < columns) {
    for (int64_t row = begin + y; row < end; row += 4 * tile_rows) {
      for (int j = 0; j < 4; ++j) {
        const int64_t at = row + j * tile_rows;
        if (at < end) part[j] += term(at * columns + column);
      }
    }
  }
  float sum = (part[0] + part[1]) + (part[2] + part[3]);
  sums[y][x] = sum;
  __syncthreads();
  if (y == 0 && column < columns) {
    for (int i = 1; i < tile_rows; ++i) sum += sums[i][x];
    write_sum(out + blockIdx.y * columns + column, accumulate, sum);
  }
}

/// y (columns) = or += the sum over the rows of term(row * columns + column).
template <class Y, class F>
void sum_columns(const char* name, Y* y, bool accumulate, int64_t rows, int64_t columns,
                 const F& term) {
  constexpr int threads = tile_columns * tile_rows;
  const int64_t piece = rows_of_piece(rows), pieces = rows > 0 ? pieces_of(rows, piece) : 1;
  const int64_t tiles = pieces_of(columns, tile_columns);
  if (pieces == 1) {
    launch(name, {tiles, threads}, sum_columns_kernel<Y, F>, y, accumulate, rows, columns, piece,
           term);
    return;
  }
  const Tensor partial({pieces, columns}, DType::f32, Device::cuda);
  float* sums = elements<float>(partial);
  launch(name, {tiles, threads, pieces}, sum_columns_kernel<float, F>, sums, false, rows, columns,
         piece, term);
  launch(name, {tiles, threads}, sum_columns_kernel<Y, Terms<float>>, y, accumulate, pieces,
         columns, pieces, Terms<float>{sums});
}

}  // namespace folio::cuda
