// The gradients of attention. The probabilities are recomputed from the log_sum of the forward pass
// (Dao et al. 2022, arXiv:2205.14135, algorithm 4), for one block of queries at a time.
#include <algorithm>
#include <cstdint>
#include <type_traits>

#include "folio/kernels/cpu/attention_head.h"
#include "folio/kernels/cpu/gemm_in_cache.h"
#include "folio/kernels/cpu/parallel.h"
#include "folio/kernels/cpu/pieces.h"
#include "folio/kernels/cpu/rows.h"
#include "folio/kernels/cpu/scratch.h"
#include "folio/kernels/device_kernels.h"

namespace folio::cpu {
namespace {

/// The number of queries whose probabilities are kept at a time. The gradients of keys and values
/// are updated once per block.
constexpr int64_t block_rows = 4 * strip_rows;

/// The gradient of one head. data is null if the gradient is not needed.
template <class T>
struct HeadGrad {
  HeadRows<T> rows;
  bool accumulate = false;
  explicit operator bool() const { return rows.data != nullptr; }
};

template <class T>
struct BackwardHead {
  const HeadTask& task;
  HeadGrad<T> dq, dk, dv;
  HeadRows<const T> q, k, v, y, dy;
  const int32_t* key_mask;
  const T* log_sum;
  // Scratch memory. keys and values are transposed, (head_dim, keys). p (block_rows, keys) holds
  // the probabilities, and dp (block_rows, keys) first their gradients and then those of the
  // scores. Their rows are `stride` elements apart.
  int64_t stride;
  T *keys, *values, *p, *dp;

  const AttentionShape& shape() const { return task.shape; }
  bool scores_wanted() const { return dq || dk; }

  void run() {
    separate_targets();
    transpose_in_cache(dtype_of<T>, shape().keys, shape().head_dim, k.data, k.stride, keys, stride);
    if (scores_wanted()) {
      transpose_in_cache(dtype_of<T>, shape().keys, shape().head_dim, v.data, v.stride, values,
                         stride);
    }
    // Start with the last block: its queries see every key, so its update may overwrite and the
    // updates of the other blocks add. If there are no queries, the only block is empty and
    // overwrites with zeros.
    int64_t first = std::max<int64_t>(shape().queries - 1, 0) / block_rows * block_rows;
    for (bool add = false; first >= 0; first -= block_rows, add = true) {
      const int64_t end = std::min(first + block_rows, shape().queries);
      const int64_t seen = add ? task.visible(end - 1) : shape().keys;
      for (int64_t i = first; i < end; i += strip_rows) {
        strip(i, std::min(strip_rows, end - i), seen, (i - first) * stride);
      }
      if (dv) update_keys(dv, p, dy, first, end, seen, add);
      if (dk) update_keys(dk, dp, q, first, end, seen, add);
    }
  }

  /// If one tensor is the target of two gradients, as in attention(x, x, x), every write must add.
  void separate_targets() {
    const bool shared = (dq && (same(dq, dk) || same(dq, dv))) || (dk && same(dk, dv));
    if (!shared) return;
    clear(dq, shape().queries);
    clear(dk, shape().keys);
    clear(dv, shape().keys);
  }
  static bool same(const HeadGrad<T>& a, const HeadGrad<T>& b) {
    return a.rows.data == b.rows.data;
  }
  void clear(HeadGrad<T>& grad, int64_t rows) const {
    for (int64_t i = 0; grad && !grad.accumulate && i < rows; ++i) {
      std::fill(grad.rows[i], grad.rows[i] + shape().head_dim, T{0});
    }
    grad.accumulate = true;
  }

  /// Computes p and dp, from `offset` on, for the queries [first, first + rows), and their dq. The
  /// block's queries see at most `seen` keys.
  void strip(int64_t first, int64_t rows, int64_t seen, int64_t offset) {
    const StripVisibility strip(task, first, rows);
    const int64_t columns = strip.keys, whole = round_up(columns, column_unit);
    // update_keys() may read this far beyond the keys that the strip sees.
    const int64_t read = std::min(columns + strip_rows, seen);
    const double scale = shape().scale;
    T *p_strip = p + offset, *dp_strip = dp + offset;

    MatrixProduct scores{.values = dtype_of<T>,
                         .m = rows,
                         .n = whole,
                         .k = shape().head_dim,
                         .lda = q.stride,
                         .ldb = stride,
                         .ldc = stride};
    gemm_in_cache(scores, q[first], keys, p_strip);
    hide_keys(p_strip, rows, columns, stride, key_mask);
    recompute_rows(dtype_of<T>, p_strip, rows, read, stride, strip.visible, scale, log_sum + first);
    if (scores_wanted()) {
      scores.lda = dy.stride;
      gemm_in_cache(scores, dy[first], values, dp_strip);
      drop(dp_strip, strip, first, rows);
      T delta[strip_rows];  // sum over keys of p dp
      dot_rows(dtype_of<T>, delta, dy[first], dy.stride, y[first], y.stride, rows,
               shape().head_dim);
      for (int64_t r = 0; r < rows; ++r) {
        std::fill(dp_strip + r * stride + columns, dp_strip + r * stride + read, T{0});
      }
      softmax_backward_rows(dtype_of<T>, dp_strip, p_strip, rows, columns, stride, delta, scale);
    }
    if (dq) {
      gemm_in_cache({.values = dtype_of<T>,
                     .accumulate = dq.accumulate,
                     .m = rows,
                     .n = shape().head_dim,
                     .k = columns,
                     .lda = stride,
                     .ldb = k.stride,
                     .ldc = dq.rows.stride},
                    dp_strip, k.data, dq.rows[first]);
    }
    if (dv) drop(p_strip, strip, first, rows);
  }

  void drop(T* rows_of_keys, const StripVisibility& strip, int64_t first, int64_t rows) const {
    if (shape().dropout.probability == 0.0) return;
    for (int64_t r = 0; r < rows; ++r) {
      T* row = rows_of_keys + r * stride;
      dropout_row(dtype_of<T>, row, row, strip.visible[r], shape().dropout,
                  task.probability_index(first + r));
    }
  }

  /// grad of keys [0, seen) = or += s^T x, where s is (queries of the block, keys) and x has one
  /// row per query.
  void update_keys(const HeadGrad<T>& grad, const T* s, HeadRows<const T> x, int64_t first,
                   int64_t end, int64_t seen, bool add) const {
    for (int64_t key = 0; key < seen; key += strip_rows) {
      const int64_t rows = std::min(strip_rows, seen - key);
      // Earlier queries do not see the key.
      const int64_t query = shape().causal ? key + shape().queries - shape().keys : 0;
      const int64_t from = std::clamp(query, first, end);
      gemm_in_cache({.values = dtype_of<T>,
                     .transpose_a = true,
                     .accumulate = add || grad.accumulate,
                     .m = rows,
                     .n = shape().head_dim,
                     .k = end - from,
                     .lda = stride,
                     .ldb = x.stride,
                     .ldc = grad.rows.stride},
                    s + (from - first) * stride + key, x[from], grad.rows[key]);
    }
  }
};

/// Where the gradient of one head's queries, keys or values is computed: in the target if
/// arithmetic is done in T, otherwise in scratch memory.
template <class T>
HeadGrad<Arithmetic<T>> grad_of(const HeadTask& task, const HeadColumnsGrad& grad,
                                [[maybe_unused]] Arithmetic<T>* scratch) {
  if (!grad.target) return {};
  if constexpr (std::is_same_v<T, Arithmetic<T>>) {
    return {task.rows_of<T>(*grad.target.tensor, grad.first), grad.target.accumulate};
  } else {
    return {{scratch, task.shape.head_dim}, false};
  }
}

/// Writes the gradient from scratch memory to the target (bf16 or f32), if there is one.
void write_grad(const HeadTask& task, const HeadColumnsGrad& grad, bool accumulate, int64_t rows,
                const float* scratch) {
  if (!grad.target) return;
  const DType dtype = grad.target.tensor->dtype();
  with_types(dtype, DType::bf16, [&]<class Y, class T>(Type<Y>, Type<T>) {
    const HeadRows<Y> out = task.rows_of<Y>(*grad.target.tensor, grad.first);
    round_rows(dtype, out.data, accumulate, scratch, rows, task.shape.head_dim, out.stride);
  });
}

template <class T>
void backward(HeadColumnsGrad dq, HeadColumnsGrad dk, HeadColumnsGrad dv, HeadColumns q,
              HeadColumns k, HeadColumns v, const Tensor& key_mask, const Tensor& y,
              const Tensor& log_sum, const Tensor& dy, const AttentionShape& shape) {
  using A = Arithmetic<T>;
  const int64_t stride = round_up(shape.keys, column_unit);
  const int64_t queries = shape.queries, key_count = shape.keys;
  const int64_t wide_queries = widened_elements<T>(queries, shape.head_dim);
  const int64_t wide_keys = widened_elements<T>(key_count, shape.head_dim);
  parallel_for(shape.batch * shape.heads, 1, [&](int64_t begin, int64_t end) {
    const auto [keys, values, p, dp, wide_q, wide_k, wide_v, wide_y, wide_dy, wide_dq, wide_dk,
                wide_dv] =
        thread_scratch<A>(shape.head_dim * stride, shape.head_dim * stride, block_rows * stride,
                          block_rows * stride, wide_queries, wide_keys, wide_keys, wide_queries,
                          wide_queries, wide_queries, wide_keys, wide_keys);
    for (int64_t i = begin; i < end; ++i) {
      const HeadTask task{shape, i / shape.heads, i % shape.heads};
      BackwardHead<A>{task,
                      grad_of<T>(task, dq, wide_dq),
                      grad_of<T>(task, dk, wide_dk),
                      grad_of<T>(task, dv, wide_dv),
                      task.widened_rows_of<T>(*q.tensor, q.first, queries, wide_q),
                      task.widened_rows_of<T>(*k.tensor, k.first, key_count, wide_k),
                      task.widened_rows_of<T>(*v.tensor, v.first, key_count, wide_v),
                      task.widened_rows_of<T>(y, 0, queries, wide_y),
                      task.widened_rows_of<T>(dy, 0, queries, wide_dy),
                      task.key_mask_of(key_mask),
                      task.log_sum_of<A>(log_sum),
                      stride,
                      keys,
                      values,
                      p,
                      dp}
          .run();
      if constexpr (!std::is_same_v<T, A>) {
        const bool add_dk = dk.target.accumulate || dk.same_columns(dq);
        const bool add_dv = dv.target.accumulate || dv.same_columns(dq) || dv.same_columns(dk);
        write_grad(task, dq, dq.target.accumulate, queries, wide_dq);
        write_grad(task, dk, add_dk, key_count, wide_dk);
        write_grad(task, dv, add_dv, key_count, wide_dv);
      }
    }
  });
}

}  // namespace

void attention_backward(HeadColumnsGrad dq, HeadColumnsGrad dk, HeadColumnsGrad dv, HeadColumns q,
                        HeadColumns k, HeadColumns v, const Tensor& key_mask, const Tensor& y,
                        const Tensor& log_sum, const Tensor& dy, const AttentionShape& shape) {
  check_floating("attention", y);
  with_type(y.dtype(), [&]<class T>(Type<T>) {
    backward<T>(dq, dk, dv, q, k, v, key_mask, y, log_sum, dy, shape);
  });
}

}  // namespace folio::cpu
