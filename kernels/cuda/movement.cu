#include <array>
#include <cstdint>
#include <type_traits>

#include "folio/kernels/cuda/reduce.h"
#include "folio/kernels/device_kernels.h"
#include "folio/kernels/views.h"

namespace folio::cuda {
namespace {

/// Moves an element of any type, or adds it if the type is a floating one.
template <class Y, class T>
__device__ void move(Y* y, T x, bool accumulate) {
  if constexpr (std::is_same_v<T, int32_t>) {
    *y = x;
  } else {
    write_sum(y, accumulate, widen(x));
  }
}

/// Calls f(Type<Y>(), Type<T>()), for i32 too.
template <class F>
void with_any_types(const char* kernel, const GradTarget& y, const Tensor& x, const F& f) {
  if (x.dtype() == DType::i32) return f(Type<int32_t>(), Type<int32_t>());
  check_floating(kernel, x);
  with_types(y.tensor->dtype(), x.dtype(), f);
}

template <class Y, class T>
__global__ void permute_kernel(Y* y, bool accumulate, const T* x, int64_t n, Permutation p) {
  const int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (i >= n) return;
  int64_t rest = i, from = 0;
  for (int axis = 3; axis >= 0; --axis) {
    from += rest % p.dim[axis] * p.stride[axis];
    rest /= p.dim[axis];
  }
  move(y + i, x[from], accumulate);
}

/// Copies runs of `run` elements, which are to_stride and from_stride apart.
template <class Y, class T>
__global__ void copy_range_kernel(Y* y, bool accumulate, const T* x, int64_t n, int64_t run,
                                  int64_t to_stride, int64_t from_stride) {
  const int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (i >= n) return;
  move(y + i / run * to_stride + i % run, x[i / run * from_stride + i % run], accumulate);
}

template <class T>
__global__ void gather_kernel(T* y, const T* table, const int32_t* index, int64_t n,
                              int64_t columns) {
  const int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (i < n) y[i] = table[index[i / columns] * columns + i % columns];
}

/// `width` adjacent elements per thread; columns is a multiple of width.
template <int width, class T>
__global__ void embedding_kernel(T* y, const int32_t* token, const T* table, const T* positions,
                                 int64_t n, int64_t columns, int64_t length) {
  const int64_t i = (int64_t{blockIdx.x} * blockDim.x + threadIdx.x) * width;
  if (i >= n) return;
  const int64_t row = i / columns, column = i % columns;
  const Pack<T, width> a = load_pack<width>(table + token[row] * columns + column);
  const Pack<T, width> b = load_pack<width>(positions + row % length * columns + column);
  Pack<T, width> sum;
  for (int j = 0; j < width; ++j) sum.at[j] = narrow<T>(widen(a.at[j]) + widen(b.at[j]));
  store_pack(y + i, sum);
}

// --- scatter: sorted first, so that each row is one block's and its sum has one order
// --------------

constexpr int rank_threads = 256;
constexpr int64_t rank_piece = 4096;  // indices that a block compares with its own

/// rank[i] += the number of the piece's indices that sort before index i; equal indices keep their
/// order.
__global__ void rank_kernel(unsigned* rank, const int32_t* index, int64_t count) {
  __shared__ int32_t others[rank_threads];
  const int64_t i = int64_t{blockIdx.x} * rank_threads + threadIdx.x;
  const int64_t begin = blockIdx.y * rank_piece;
  const int64_t end = begin + rank_piece < count ? begin + rank_piece : count;
  const int32_t own = i < count ? index[i] : 0;
  unsigned before = 0;
  for (int64_t first = begin; first < end; first += rank_threads) {
    if (first + threadIdx.x < end) others[threadIdx.x] = index[first + threadIdx.x];
    __syncthreads();
    const int64_t size = end - first < rank_threads ? end - first : rank_threads;
    for (int64_t j = 0; j < size; ++j) {
      before += others[j] < own || (others[j] == own && first + j < i) ? 1 : 0;
    }
    __syncthreads();
  }
  if (i < count) atomicAdd(rank + i, before);  // of integers, so the order does not matter
}

__global__ void order_kernel(int32_t* order, const unsigned* rank, int64_t count) {
  const int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (i < count) order[rank[i]] = static_cast<int32_t>(i);
}

/// One block adds each run of equal indices, in order, for 32 columns: eight threads per column
/// take every eighth row of dy.
template <class Y, class T>
__global__ void add_runs_kernel(Y* dtable, const int32_t* index, const int32_t* order, const T* dy,
                                int64_t count, int64_t columns) {
  __shared__ float sums[tile_rows][tile_columns];
  const int64_t first = blockIdx.x;
  const int32_t row = index[order[first]];
  if (first > 0 && index[order[first - 1]] == row) return;  // no run starts here
  const int x = threadIdx.x % tile_columns, y = threadIdx.x / tile_columns;
  const int64_t column = int64_t{blockIdx.y} * tile_columns + x;
  float sum = 0.0f;
  for (int64_t i = first + y; i < count; i += tile_rows) {
    const int32_t at = order[i];
    if (index[at] != row) break;
    if (column < columns) sum += widen(dy[at * columns + column]);
  }
  sums[y][x] = sum;
  __syncthreads();
  if (y == 0 && column < columns) {
    for (int i = 1; i < tile_rows; ++i) sum += sums[i][x];
    write_sum(dtable + row * columns + column, true, sum);
  }
}

}  // namespace

void permute(GradTarget y, const Tensor& x, const std::array<int, 4>& axes) {
  if (!y) return;
  with_any_types("permute", y, x, [&]<class Y, class T>(Type<Y>, Type<T>) {
    launch("permute", {pieces_of(x.numel(), 256)}, permute_kernel<Y, T>, elements<Y>(*y.tensor),
           y.accumulate, elements<const T>(x), x.numel(), Permutation(x.shape(), axes));
  });
}

void copy_range(GradTarget y, int64_t y_start, const Tensor& x, int64_t x_start, int64_t length,
                int axis) {
  if (!y) return;
  axis = x.shape().normalize_axis(axis);
  const AxisView from(x.shape(), axis), to(y.tensor->shape(), axis);
  const int64_t run = length * from.inner, n = from.outer * run;
  with_any_types("copy_range", y, x, [&]<class Y, class T>(Type<Y>, Type<T>) {
    launch("copy_range", {pieces_of(n, 256)}, copy_range_kernel<Y, T>,
           elements<Y>(*y.tensor) + y_start * to.inner, y.accumulate,
           elements<const T>(x) + x_start * from.inner, n, run, to.size * to.inner,
           from.size * from.inner);
  });
}

void gather_rows(const Tensor& y, const Tensor& table, const Tensor& indices) {
  check_floating("gather_rows", table);
  const int64_t columns = table.shape().columns(), n = indices.numel() * columns;
  with_type(table.dtype(), [&]<class T>(Type<T>) {
    launch("gather_rows", {pieces_of(n, 256)}, gather_kernel<T>, elements<T>(y),
           elements<const T>(table), elements<const int32_t>(indices), n, columns);
  });
}

void scatter_add_rows(GradTarget dtable, const Tensor& indices, const Tensor& dy) {
  if (!dtable) return;
  check_floating("scatter_add_rows", dy);
  if (!dtable.accumulate) fill(*dtable.tensor, 0.0);
  const int64_t count = indices.numel(), columns = dtable.tensor->dim(1);
  if (count == 0) return;
  const Tensor ranks({count}, DType::i32, Device::cuda), order({count}, DType::i32, Device::cuda);
  fill(ranks, 0.0);
  const auto* index = elements<const int32_t>(indices);
  launch("scatter_add_rows: rank",
         {pieces_of(count, rank_threads), rank_threads, pieces_of(count, rank_piece)}, rank_kernel,
         elements<unsigned>(ranks), index, count);
  launch("scatter_add_rows: order", {pieces_of(count, 256)}, order_kernel, elements<int32_t>(order),
         elements<const unsigned>(ranks), count);
  with_types(dtable.tensor->dtype(), dy.dtype(), [&]<class Y, class T>(Type<Y>, Type<T>) {
    launch("scatter_add_rows", {count, tile_columns * tile_rows, pieces_of(columns, tile_columns)},
           add_runs_kernel<Y, T>, elements<Y>(*dtable.tensor), index,
           elements<const int32_t>(order), elements<const T>(dy), count, columns);
  });
}

void embedding_forward(const Tensor& y, const Tensor& tokens, const Tensor& table,
                       const Tensor& positions) {
  check_floating("embedding", table);
  const int64_t columns = table.shape().columns(), length = tokens.dim(-1), n = y.numel();
  with_type(table.dtype(), [&]<class T>(Type<T>) {
    T* out = elements<T>(y);
    const T *rows = elements<const T>(table), *places = elements<const T>(positions);
    const auto* token = elements<const int32_t>(tokens);
    constexpr int width = 16 / sizeof(T);
    if (columns % width == 0 && aligned(out, 16) && aligned(rows, 16) && aligned(places, 16)) {
      launch("embedding_forward", {pieces_of(n, 256 * width)}, embedding_kernel<width, T>, out,
             token, rows, places, n, columns, length);
    } else {
      launch("embedding_forward", {pieces_of(n, 256)}, embedding_kernel<1, T>, out, token, rows,
             places, n, columns, length);
    }
  });
}

}  // namespace folio::cuda
