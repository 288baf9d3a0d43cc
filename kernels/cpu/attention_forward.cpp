// Attention without storing its (Tq, Tk) matrix: one strip of queries at a time, as in
// FlashAttention (Dao et al. 2022, arXiv:2205.14135), but with whole rows of scores, which fit in a
// CPU's caches.
#include <algorithm>
#include <cstdint>
#include <type_traits>

#include "folio/kernels/cpu/attention_head.h"
#include "folio/kernels/cpu/gemm_few_rows.h"
#include "folio/kernels/cpu/gemm_in_cache.h"
#include "folio/kernels/cpu/parallel.h"
#include "folio/kernels/cpu/pieces.h"
#include "folio/kernels/cpu/rows.h"
#include "folio/kernels/cpu/scratch.h"
#include "folio/kernels/device_kernels.h"

namespace folio::cpu {
namespace {

/// Up to this number of queries, transposing the keys costs more than it saves.
constexpr int64_t few_queries = 4;

/// `keys` is scratch memory for the transposed keys, (head_dim, keys), which is not used for few
/// queries; p is scratch memory for the probabilities of a strip. Their rows are `stride` elements
/// apart.
template <class T>
void forward_head(const HeadTask& task, HeadRows<T> y, T* log_sum, HeadRows<const T> q,
                  HeadRows<const T> k, HeadRows<const T> v, const int32_t* key_mask, int64_t stride,
                  T* keys, T* p) {
  const AttentionShape& shape = task.shape;
  const bool few = shape.queries <= few_queries;
  if (!few) {
    transpose_in_cache(dtype_of<T>, shape.keys, shape.head_dim, k.data, k.stride, keys, stride);
  }
  for (int64_t first = 0; first < shape.queries; first += strip_rows) {
    const int64_t rows = std::min(strip_rows, shape.queries - first);
    const StripVisibility strip(task, first, rows);
    if (few) {
      gemm_few_rows({.values = dtype_of<T>,
                     .transpose_b = true,
                     .m = rows,
                     .n = strip.keys,
                     .k = shape.head_dim,
                     .lda = q.stride,
                     .ldb = k.stride,
                     .ldc = stride},
                    q[first], k.data, p);
    } else {
      gemm_in_cache({.values = dtype_of<T>,
                     .m = rows,
                     .n = round_up(strip.keys, column_unit),
                     .k = shape.head_dim,
                     .lda = q.stride,
                     .ldb = stride,
                     .ldc = stride},
                    q[first], keys, p);
    }
    hide_keys(p, rows, strip.keys, stride, key_mask);
    exp_rows(dtype_of<T>, p, rows, strip.keys, stride, strip.visible, shape.scale, log_sum + first);
    if (shape.dropout.probability > 0.0) {
      for (int64_t r = 0; r < rows; ++r) {
        dropout_row(dtype_of<T>, p + r * stride, p + r * stride, strip.visible[r], shape.dropout,
                    task.probability_index(first + r));
      }
    }
    gemm_in_cache({.values = dtype_of<T>,
                   .m = rows,
                   .n = shape.head_dim,
                   .k = strip.keys,
                   .lda = stride,
                   .ldb = v.stride,
                   .ldc = y.stride},
                  p, v.data, y[first]);
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
        round_rows(dtype_of<T>, out.data, false, wide_y, shape.queries, shape.head_dim, out.stride);
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
