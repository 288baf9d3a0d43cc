// Attention without storing its (Tq, Tk) matrix: one tile of keys at a time, updating the softmax's
// maximum and sum (Dao et al. 2022, arXiv:2205.14135, algorithm 1).
#include <cstdint>

#include "folio/kernels/cuda/attention_plain.h"
#include "folio/kernels/cuda/attention_tile.h"

namespace folio::cuda {
namespace {

template <class T>
__global__ void __launch_bounds__(attention_threads, 1)
    forward_kernel(Heads<T> y_all, float* log_sum, Heads<const T> q_all, Heads<const T> k_all,
                   Heads<const T> v_all, AttentionTask task) {
  __shared__ Tile queries, keys, values;
  __shared__ Weights weights;
  const int64_t batch = blockIdx.x / task.heads, head = blockIdx.x % task.heads;
  const int64_t first_query = blockIdx.y / task.depth_pieces * tile_side;
  const int64_t first_column = blockIdx.y % task.depth_pieces * tile_depth;
  const Heads<const T> q = q_all.of(batch, head, task.head_dim);
  const Heads<const T> k = k_all.of(batch, head, task.head_dim);
  const Heads<const T> v = v_all.of(batch, head, task.head_dim);
  const Dropper dropper = task.dropper.resolved();
  const int row = threadIdx.x / row_threads, place = threadIdx.x % row_threads;
  const int64_t query = first_query + row;
  const int columns = tile_columns_of(first_column, task.head_dim);

  // No query of the tile sees more keys than its last one.
  const int64_t end = task.visible(first_query + tile_side - 1);
  float max = -INFINITY, sum = 0.0f, out[own_columns] = {};
  for (int64_t first_key = 0; first_key < end; first_key += tile_side) {
    float score[own_rows] = {};
    for (int64_t depth = 0; depth < task.head_dim; depth += tile_depth) {
      __syncthreads();
      load_tile<false>(queries, q, first_query, task.queries, depth, task.head_dim);
      load_tile<true>(keys, k, first_key, task.keys, depth, task.head_dim);
      if (depth == 0) {
        load_tile<false>(values, v, first_key, task.keys, first_column, task.head_dim);
      }
      __syncthreads();
      pair_rows(score, queries, keys, tile_columns_of(depth, task.head_dim));
    }
    const int64_t key = first_key + own_rows * place;
    float highest = -INFINITY;
    for (int i = 0; i < own_rows; ++i) {
      score[i] = task.sees(batch, query, key + i) ? __fmul_rn(score[i], task.scale) : -INFINITY;
      highest = Max()(score[i], highest);
    }
    highest = Max()(row_reduce<Max>(highest), max);
    const float shift = highest == -INFINITY ? 0.0f : highest;  // no key seen yet: exp gives 0
    const float shrink = expf(max - shift);
    max = highest;
    float added = 0.0f;
    for (int i = 0; i < own_rows; ++i) {
      score[i] = expf(score[i] - shift);
      added += score[i];
    }
    sum = sum * shrink + row_reduce<Add>(added);
    dropper.apply(score, task.index(blockIdx.x, query, key));
    for (int i = 0; i < own_rows; ++i) weights.at[row][own_rows * place + i] = score[i];
    for (float& x : out) x *= shrink;
    __syncthreads();
    add_weighted(out, weights, values, task.keys - first_key, columns);
  }
  write_columns(y_all.of(batch, head, task.head_dim), query, task.queries, first_column,
                task.head_dim, false, out, sum > 0.0f ? 1.0f / sum : 0.0f);
  if (place == 0 && first_column == 0 && query < task.queries) {
    log_sum[blockIdx.x * task.queries + query] = sum > 0.0f ? max + logf(sum) : 0.0f;
  }
}

}  // namespace

void plain_attention_forward(const Tensor& y, const Tensor& log_sum, HeadColumns q, HeadColumns k,
                             HeadColumns v, const Tensor& key_mask, const AttentionShape& shape) {
  with_type(y.dtype(), [&]<class T>(Type<T>) {
    launch("attention_forward", attention_grid(shape, shape.queries), forward_kernel<T>,
           heads_of<T>(y, 0), elements<float>(log_sum), heads_of<const T>(*q.tensor, q.first),
           heads_of<const T>(*k.tensor, k.first), heads_of<const T>(*v.tensor, v.first),
           AttentionTask(shape, key_mask));
  });
}

}  // namespace folio::cuda
