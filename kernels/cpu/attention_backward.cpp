// The gradients of attention. The probabilities are computed again from the forward pass's log_sum
// (Dao et al. 2022, arXiv:2205.14135, algorithm 4), a block of queries at a time.
#include "folio/kernels/cpu/attention_head.h"
#include "folio/kernels/cpu/block_gemm.h"
#include "folio/kernels/cpu/parallel.h"
#include "folio/kernels/cpu/pieces.h"
#include "folio/kernels/cpu/rows.h"
#include "folio/kernels/cpu/scratch.h"
#include "folio/kernels/cpu/table.h"

namespace folio::cpu {
namespace {

/// Queries whose probabilities are kept at a time; the gradients of keys and values are updated
/// once a block.
constexpr int64_t block_rows = 4 * strip_rows;

/// A gradient of one head; without data, one that nobody wants.
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
  // Scratch. keys and values: transposed, (head_dim, keys); p and dp: (block_rows, keys), the
  // probabilities and, first, their gradients, then those of the scores. Rows are `stride` apart.
  int64_t stride;
  T *keys, *values, *p, *dp;

  const AttentionShape& shape() const { return task.shape; }
  bool scores_wanted() const { return dq || dk; }

  void run() {
    separate_targets();
    block_transpose(shape().keys, shape().head_dim, k.data, k.stride, keys, stride);
    if (scores_wanted()) {
      block_transpose(shape().keys, shape().head_dim, v.data, v.stride, values, stride);
    }
    // From the last block back: its queries see every key, so its update may overwrite and the
    // others' add. With no queries the one block is empty, and overwrites with zeros.
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

  /// Where one tensor is the target twice, as in attention(x, x, x), every write must add.
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

  /// p and dp, from `offset` on, of the queries [first, first + rows), and their dq. `seen`: by the
  /// block.
  void strip(int64_t first, int64_t rows, int64_t seen, int64_t offset) {
    const StripVisibility strip(task, first, rows);
    const int64_t columns = strip.keys, whole = round_up(columns, column_unit);
    // update_keys may read so far beyond what the strip sees.
    const int64_t read = std::min(columns + strip_rows, seen);
    const T scale = static_cast<T>(shape().scale);
    T *p_strip = p + offset, *dp_strip = dp + offset;

    block_gemm(rows, whole, shape().head_dim, q[first], q.stride, 1, keys, stride, false, p_strip,
               stride);
    hide_keys(p_strip, rows, columns, stride, key_mask);
    recompute_rows(p_strip, rows, read, stride, strip.visible, scale, log_sum + first);
    if (scores_wanted()) {
      block_gemm(rows, whole, shape().head_dim, dy[first], dy.stride, 1, values, stride, false,
                 dp_strip, stride);
      drop(dp_strip, strip, first, rows);
      T delta[strip_rows];  // sum over keys of p dp
      dot_rows(delta, dy[first], dy.stride, y[first], y.stride, rows, shape().head_dim);
      for (int64_t r = 0; r < rows; ++r) {
        std::fill(dp_strip + r * stride + columns, dp_strip + r * stride + read, T{0});
      }
      softmax_backward_rows(dp_strip, p_strip, rows, columns, stride, delta, scale);
    }
    if (dq) {
      block_gemm(rows, shape().head_dim, columns, dp_strip, stride, 1, k.data, k.stride,
                 dq.accumulate, dq.rows[first], dq.rows.stride);
    }
    if (dv) drop(p_strip, strip, first, rows);
  }

  void drop(T* rows_of_keys, const StripVisibility& strip, int64_t first, int64_t rows) const {
    if (shape().dropout.probability == 0.0) return;
    for (int64_t r = 0; r < rows; ++r) {
      T* row = rows_of_keys + r * stride;
      dropout_row(row, row, strip.visible[r], shape().dropout, task.probability_index(first + r));
    }
  }

  /// grad of keys [0, seen) = or += s^T x, for s (queries of the block, keys) and x by query.
  void update_keys(const HeadGrad<T>& grad, const T* s, HeadRows<const T> x, int64_t first,
                   int64_t end, int64_t seen, bool add) const {
    for (int64_t key = 0; key < seen; key += strip_rows) {
      const int64_t rows = std::min(strip_rows, seen - key);
      // Queries before that one do not see the key.
      const int64_t query = shape().causal ? key + shape().queries - shape().keys : 0;
      const int64_t from = std::clamp(query, first, end);
      block_gemm(rows, shape().head_dim, end - from, s + (from - first) * stride + key, 1, stride,
                 x[from], x.stride, add || grad.accumulate, grad.rows[key], grad.rows.stride);
    }
  }
};

/// Where the gradient of one head's queries, keys or values is computed: in the target where T is
/// what is computed in, else in scratch memory.
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

/// From the scratch memory to the target, where there is one: bf16 or f32.
void write_grad(const HeadTask& task, const HeadColumnsGrad& grad, bool accumulate, int64_t rows,
                const float* scratch) {
  if (!grad.target) return;
  const auto write = [&]<class Y>(Type<Y>) {
    const HeadRows<Y> out = task.rows_of<Y>(*grad.target.tensor, grad.first);
    round_rows(out.data, accumulate, scratch, rows, task.shape.head_dim, out.stride);
  };
  if (grad.target.tensor->dtype() == DType::bf16) {
    write(Type<bf16>());
  } else {
    write(Type<float>());
  }
}

bool same_columns(const HeadColumnsGrad& a, const HeadColumnsGrad& b) {
  return a.target && b.target && a.target.tensor->raw() == b.target.tensor->raw() &&
         a.first == b.first;
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
        // Where one tensor is the target twice, the later writes add.
        const bool add_dk = dk.target.accumulate || same_columns(dk, dq);
        const bool add_dv = dv.target.accumulate || same_columns(dv, dq) || same_columns(dv, dk);
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
