// The gradients of attention. The probabilities are recomputed from the log_sum of the forward pass
// (Dao et al. 2022, arXiv:2205.14135, algorithm 4), once for the gradient of the queries and once
// for those of keys and values, so that each sum is computed by one thread in a fixed order.
#include <cstdint>
#include <type_traits>

#include "folio/kernels/cuda/attention_plain.h"
#include "folio/kernels/cuda/attention_tile.h"

namespace folio::cuda {
namespace {

/// The inputs of both passes.
template <class T>
struct Inputs {
  Heads<const T> q, k, v, dy;
  const float *log_sum, *delta;  // (B, heads, queries)

  __device__ Inputs of(int64_t batch, int64_t head, const AttentionTask& task) const {
    const int64_t d = task.head_dim, row = (batch * task.heads + head) * task.queries;
    return {q.of(batch, head, d),  k.of(batch, head, d), v.of(batch, head, d),
            dy.of(batch, head, d), log_sum + row,        delta + row};
  }
};

/// delta (B, heads, queries) = the dot product of dy and y, which equals the sum over keys of p
/// times its gradient. One warp per row.
constexpr int delta_warps = 4;
template <class T>
__global__ void delta_kernel(float* delta, Heads<const T> y, Heads<const T> dy, int64_t rows,
                             AttentionTask task) {
  const int64_t row = int64_t{blockIdx.x} * delta_warps + threadIdx.x / 32;
  if (row >= rows) return;  // the whole warp returns
  const int64_t query = row % task.queries, head = row / task.queries % task.heads;
  const int64_t batch = row / task.queries / task.heads;
  const T* a = y.of(batch, head, task.head_dim).data + query * y.width;
  const T* b = dy.of(batch, head, task.head_dim).data + query * dy.width;
  float sum = 0.0f;
  for (int64_t i = threadIdx.x % 32; i < task.head_dim; i += 32) sum += widen(a[i]) * widen(b[i]);
  sum = warp_reduce<Add>(sum);
  if (threadIdx.x % 32 == 0) delta[row] = sum;
}

/// A probability p = exp(scale * score - log_sum), or 0 if the key is hidden, and the factor that
/// dropout multiplies it by. The product is rounded separately, as in the forward pass: near 1e10
/// an fma differs by hundreds.
struct Probability {
  float p, kept;
};
__device__ inline Probability probability(const AttentionTask& task, const Dropper& dropper,
                                          int64_t batch, int64_t query, int64_t key, float score,
                                          const float* log_sum) {
  if (!task.sees(batch, query, key)) return {0.0f, 0.0f};
  return {expf(__fmul_rn(score, task.scale) - log_sum[query]),
          dropper(1.0f, task.index(blockIdx.x, query, key))};
}

template <class Y, class T>
__global__ void __launch_bounds__(attention_threads, 1)
    query_kernel(Heads<Y> dq, bool accumulate, Inputs<T> all, AttentionTask task) {
  __shared__ Tile own, paired, keys;
  __shared__ Weights weights;
  const int64_t batch = blockIdx.x / task.heads, head = blockIdx.x % task.heads;
  const int64_t first_query = blockIdx.y / task.depth_pieces * tile_side;
  const int64_t first_column = blockIdx.y % task.depth_pieces * tile_depth;
  const Inputs<T> in = all.of(batch, head, task);
  const Dropper dropper = task.dropper.resolved();
  const int row = threadIdx.x / row_threads, place = threadIdx.x % row_threads;
  const int64_t query = first_query + row;
  const int columns = tile_columns_of(first_column, task.head_dim);

  const int64_t end = task.visible(first_query + tile_side - 1);
  float sums[own_columns] = {};
  for (int64_t first_key = 0; first_key < end; first_key += tile_side) {
    float score[own_rows] = {}, slope[own_rows] = {};
    for (int64_t depth = 0; depth < task.head_dim; depth += tile_depth) {
      __syncthreads();
      load_tile<false>(own, in.q, first_query, task.queries, depth, task.head_dim);
      load_tile<true>(paired, in.k, first_key, task.keys, depth, task.head_dim);
      __syncthreads();
      pair_rows(score, own, paired, tile_columns_of(depth, task.head_dim));
      __syncthreads();
      load_tile<false>(own, in.dy, first_query, task.queries, depth, task.head_dim);
      load_tile<true>(paired, in.v, first_key, task.keys, depth, task.head_dim);
      if (depth == 0) {
        load_tile<false>(keys, in.k, first_key, task.keys, first_column, task.head_dim);
      }
      __syncthreads();
      pair_rows(slope, own, paired, tile_columns_of(depth, task.head_dim));
    }
    for (int i = 0; i < own_rows; ++i) {
      const int64_t key = first_key + own_rows * place + i;
      const auto [p, kept] = probability(task, dropper, batch, query, key, score[i], in.log_sum);
      const float delta = query < task.queries ? in.delta[query] : 0.0f;
      weights.at[row][own_rows * place + i] =
          p == 0.0f ? 0.0f : p * (slope[i] * kept - delta) * task.scale;
    }
    __syncthreads();
    add_weighted(sums, weights, keys, task.keys - first_key, columns);
  }
  write_columns(dq.of(batch, head, task.head_dim), query, task.queries, first_column, task.head_dim,
                accumulate, sums, 1.0f);
}

/// Computes dk and dv, whose data is null if they are not needed. A block's own rows are keys. If
/// both have the same target, dv is added to dk; each element is added by the thread that wrote it.
template <class K, class V, class T>
__global__ void __launch_bounds__(attention_threads, 1)
    key_kernel(Heads<K> dk, bool accumulate_k, Heads<V> dv, bool accumulate_v, Inputs<T> all,
               AttentionTask task) {
  __shared__ Tile own, paired, others;
  __shared__ Weights weights;
  const int64_t batch = blockIdx.x / task.heads, head = blockIdx.x % task.heads;
  const int64_t first_key = blockIdx.y / task.depth_pieces * tile_side;
  const int64_t first_column = blockIdx.y % task.depth_pieces * tile_depth;
  const Inputs<T> in = all.of(batch, head, task);
  const Dropper dropper = task.dropper.resolved();
  const int row = threadIdx.x / row_threads, place = threadIdx.x % row_threads;
  const int64_t key = first_key + row;
  const int columns = tile_columns_of(first_column, task.head_dim);

  // Earlier queries see none of the tile's keys.
  int64_t first = task.causal ? first_key + task.queries - task.keys : 0;
  first = first < 0 ? 0 : first / tile_side * tile_side;
  float of_key[own_columns] = {}, of_value[own_columns] = {};
  for (int64_t first_query = first; first_query < task.queries; first_query += tile_side) {
    float score[own_rows] = {}, slope[own_rows] = {};
    for (int64_t depth = 0; depth < task.head_dim; depth += tile_depth) {
      __syncthreads();
      load_tile<false>(own, in.k, first_key, task.keys, depth, task.head_dim);
      load_tile<true>(paired, in.q, first_query, task.queries, depth, task.head_dim);
      __syncthreads();
      pair_rows(score, own, paired, tile_columns_of(depth, task.head_dim));
      __syncthreads();
      load_tile<false>(own, in.v, first_key, task.keys, depth, task.head_dim);
      load_tile<true>(paired, in.dy, first_query, task.queries, depth, task.head_dim);
      if (depth == 0) {
        load_tile<false>(others, in.dy, first_query, task.queries, first_column, task.head_dim);
      }
      __syncthreads();
      pair_rows(slope, own, paired, tile_columns_of(depth, task.head_dim));
    }
    float of_score[own_rows];
    for (int i = 0; i < own_rows; ++i) {
      const int64_t query = first_query + own_rows * place + i;
      const auto [p, kept] = probability(task, dropper, batch, query, key, score[i], in.log_sum);
      const float delta = query < task.queries ? in.delta[query] : 0.0f;
      weights.at[row][own_rows * place + i] = p * kept;
      of_score[i] = p == 0.0f ? 0.0f : p * (slope[i] * kept - delta) * task.scale;
    }
    __syncthreads();
    add_weighted(of_value, weights, others, task.queries - first_query, columns);
    __syncthreads();
    for (int i = 0; i < own_rows; ++i) weights.at[row][own_rows * place + i] = of_score[i];
    load_tile<false>(others, in.q, first_query, task.queries, first_column, task.head_dim);
    __syncthreads();
    add_weighted(of_key, weights, others, task.queries - first_query, columns);
  }
  if (dk.data != nullptr) {
    write_columns(dk.of(batch, head, task.head_dim), key, task.keys, first_column, task.head_dim,
                  accumulate_k, of_key, 1.0f);
  }
  if (dv.data != nullptr) {
    write_columns(dv.of(batch, head, task.head_dim), key, task.keys, first_column, task.head_dim,
                  accumulate_v, of_value, 1.0f);
  }
}

template <class Y>
Heads<Y> target_heads(const HeadColumnsGrad& grad) {
  return grad.target ? heads_of<Y>(*grad.target.tensor, grad.first) : Heads<Y>();
}

DType target_type(const HeadColumnsGrad& grad, DType otherwise) {
  return grad.target ? grad.target.tensor->dtype() : otherwise;
}

}  // namespace

void plain_attention_backward(HeadColumnsGrad dq, HeadColumnsGrad dk, HeadColumnsGrad dv,
                              HeadColumns q, HeadColumns k, HeadColumns v, const Tensor& key_mask,
                              const Tensor& y, const Tensor& log_sum, const Tensor& dy,
                              const AttentionShape& shape) {
  const AttentionTask task(shape, key_mask);
  const int64_t rows = shape.batch * shape.heads * shape.queries;
  const Tensor delta({rows}, DType::f32, Device::cuda);
  const bool add_dk = dk.target.accumulate || dk.same_columns(dq);
  const bool add_dv = dv.target.accumulate || dv.same_columns(dq) || dv.same_columns(dk);
  with_type(y.dtype(), [&]<class T>(Type<T>) {
    const Inputs<T> inputs{
        heads_of<const T>(*q.tensor, q.first), heads_of<const T>(*k.tensor, k.first),
        heads_of<const T>(*v.tensor, v.first), heads_of<const T>(dy, 0),
        elements<const float>(log_sum),        elements<const float>(delta)};
    launch("attention_backward: delta", {pieces_of(rows, delta_warps), 32 * delta_warps},
           delta_kernel<T>, elements<float>(delta), heads_of<const T>(y, 0), inputs.dy, rows, task);
    if (dq.target) {
      with_types(target_type(dq, y.dtype()), y.dtype(), [&]<class Y, class X>(Type<Y>, Type<X>) {
        if constexpr (std::is_same_v<X, T>) {
          launch("attention_backward: queries", attention_grid(shape, shape.queries),
                 query_kernel<Y, T>, target_heads<Y>(dq), dq.target.accumulate, inputs, task);
        }
      });
    }
    if (!dk.target && !dv.target) return;
    with_types(target_type(dk, y.dtype()), y.dtype(), [&]<class K, class X>(Type<K>, Type<X>) {
      with_types(target_type(dv, y.dtype()), y.dtype(), [&]<class V, class Z>(Type<V>, Type<Z>) {
        if constexpr (std::is_same_v<X, T> && std::is_same_v<Z, T>) {
          launch("attention_backward: keys", attention_grid(shape, shape.keys), key_kernel<K, V, T>,
                 target_heads<K>(dk), add_dk, target_heads<V>(dv), add_dv, inputs, task);
        }
      });
    });
  });
}

}  // namespace folio::cuda
