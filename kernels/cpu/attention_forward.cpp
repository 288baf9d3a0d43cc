// Attention without its (Tq, Tk) matrix in memory: strip by strip of queries, as FlashAttention
// (Dao et al. 2022, arXiv:2205.14135) goes, but with whole rows of scores, which a CPU's caches
// hold.
#include "folio/kernels/cpu/attention_head.h"
#include "folio/kernels/cpu/block_gemm.h"
#include "folio/kernels/cpu/few_rows.h"
#include "folio/kernels/cpu/parallel.h"
#include "folio/kernels/cpu/pieces.h"
#include "folio/kernels/cpu/rows.h"
#include "folio/kernels/cpu/scratch.h"
#include "folio/kernels/cpu/table.h"

namespace folio::cpu {
namespace {

/// So few queries that transposing the keys for them would cost more than it saves.
constexpr int64_t few_queries = 4;

/// keys: scratch for the transposed keys, (head_dim, keys), unless the queries are few; p: for a
/// strip's probabilities. Their rows are `stride` apart.
template <class T>
void forward_head(const HeadTask& task, HeadRows<T> y, T* log_sum, HeadRows<const T> q,
                  HeadRows<const T> k, HeadRows<const T> v, const int32_t* key_mask, int64_t stride,
                  T* keys, T* p) {
  const AttentionShape& shape = task.shape;
  const bool few = shape.queries <= few_queries;
  if (!few) block_transpose(shape.keys, shape.head_dim, k.data, k.stride, keys, stride);
  for (int64_t first = 0; first < shape.queries; first += strip_rows) {
    const int64_t rows = std::min(strip_rows, shape.queries - first);
    const StripVisibility strip(task, first, rows);
    if (few) {
      few_rows_gemm(rows, strip.keys, shape.head_dim, T{1}, q[first], q.stride, k.data, k.stride,
                    T{0}, p, stride);
    } else {
      block_gemm(rows, round_up(strip.keys, column_unit), shape.head_dim, q[first], q.stride, 1,
                 keys, stride, false, p, stride);
    }
    hide_keys(p, rows, strip.keys, stride, key_mask);
    exp_rows(p, rows, strip.keys, stride, strip.visible, static_cast<T>(shape.scale),
             log_sum + first);
    if (shape.dropout.probability > 0.0) {
      for (int64_t r = 0; r < rows; ++r) {
        dropout_row(p + r * stride, p + r * stride, strip.visible[r], shape.dropout,
                    task.probability_index(first + r));
      }
    }
    block_gemm(rows, shape.head_dim, strip.keys, p, stride, 1, v.data, v.stride, false, y[first],
               y.stride);
  }
}

template <class T>
void forward(const Tensor& y, const Tensor& log_sum, HeadColumns q, HeadColumns k, HeadColumns v,
             const Tensor& key_mask, const AttentionShape& shape) {
  using A = Arithmetic<T>;
  const int64_t work = shape.queries * shape.keys * shape.head_dim;  // of a head
  constexpr int64_t worth_sharing = 64 * 1024;
  const int64_t heads = worth_sharing / std::max<int64_t>(work, 1);
  const int64_t stride = round_up(shape.keys, column_unit);
  const int64_t transposed = shape.queries <= few_queries ? 0 : shape.head_dim * stride;
  const int64_t wide_queries = widened_elements<T>(shape.queries, shape.head_dim);
  const int64_t wide_keys = widened_elements<T>(shape.keys, shape.head_dim);
  parallel_for(shape.batch * shape.heads, heads, [&](int64_t begin, int64_t end) {
    const auto [keys, p, wide_q, wide_k, wide_v, wide_y] = thread_scratch<A>(
        transposed, strip_rows * stride, wide_queries, wide_keys, wide_keys, wide_queries);
    for (int64_t i = begin; i < end; ++i) {
      const HeadTask task{shape, i / shape.heads, i % shape.heads};
      const HeadRows<T> out = task.rows_of<T>(y, 0);
      const HeadRows<A> result = place_for(out, wide_y, shape.head_dim);
      forward_head<A>(task, result, task.log_sum_of<A>(log_sum),
                      task.widened_rows_of<T>(*q.tensor, q.first, shape.queries, wide_q),
                      task.widened_rows_of<T>(*k.tensor, k.first, shape.keys, wide_k),
                      task.widened_rows_of<T>(*v.tensor, v.first, shape.keys, wide_v),
                      task.key_mask_of(key_mask), stride, keys, p);
      if constexpr (!std::is_same_v<T, A>) {
        round_rows(out.data, false, wide_y, shape.queries, shape.head_dim, out.stride);
      }
    }
  });
}

}  // namespace

void attention_forward(const Tensor& y, const Tensor& log_sum, HeadColumns q, HeadColumns k,
                       HeadColumns v, const Tensor& key_mask, const AttentionShape& shape) {
  check_floating("attention", y);
  with_type(y.dtype(), [&]<class T>(Type<T>) { forward<T>(y, log_sum, q, k, v, key_mask, shape); });
}

}  // namespace folio::cpu
