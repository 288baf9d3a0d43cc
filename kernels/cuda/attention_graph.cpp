#include "folio/kernels/cuda/attention_graph.h"

namespace folio::cuda {
namespace {

using Value = CudnnGraph::Value;

struct Builder {
  const AttentionPlanKey& key;
  CudnnGraph graph;

  /// The layout (B, heads, T, head_dim) of heads in rows of `width` elements.
  GraphLayout rows(int64_t width, int64_t step) const {
    return {{key.batch, key.heads, key.length, key.head_dim}, {step, key.head_dim, width, 1}};
  }
  GraphLayout own_rows() const {  // of y and dy
    const int64_t width = key.heads * key.head_dim;
    return rows(width, key.length * width);
  }
  GraphLayout scores() const { return packed({key.batch, key.heads, key.length, key.length}); }
  GraphLayout statistics() const { return packed({key.batch, key.heads, key.length, 1}); }

  Value in_bf16(int64_t id, const GraphLayout& layout) {
    return graph.memory(id, CUDNN_DATA_BFLOAT16, layout);
  }
  Value times(Value x, Value factor) { return graph.pointwise(CUDNN_POINTWISE_MUL, x, factor); }
  Value minus(Value x, Value y) { return graph.pointwise(CUDNN_POINTWISE_SUB, x, y); }

  /// scale q k^T.
  Value scaled_scores(Value q, Value k_transposed, Value scale) {
    const Value score = graph.between(CUDNN_DATA_FLOAT, scores());
    graph.matmul(q, k_transposed, score);
    return times(score, scale);
  }

  /// Replaces the score by -infinity where the key comes after the query.
  Value hidden(Value score, Value nothing) {
    if (!key.causal) return score;
    const Value row = graph.index(score, 2), column = graph.index(score, 3);
    const Value seen = graph.between(CUDNN_DATA_BOOLEAN, scores());
    graph.pointwise(CUDNN_POINTWISE_CMP_GE, row, column, std::nullopt, seen, CUDNN_DATA_BOOLEAN);
    const Value result = graph.between(CUDNN_DATA_FLOAT, scores());
    graph.pointwise(CUDNN_POINTWISE_BINARY_SELECT, score, nothing, seen, result);
    return result;
  }
};

}  // namespace

std::optional<CudnnPlan> attention_forward_plan(const AttentionPlanKey& key,
                                                const PlanTarget& target, std::string* why) {
  Builder b{key, {}};
  CudnnGraph& g = b.graph;
  const Value q = b.in_bf16(memory_q, b.rows(key.q_width, key.q_step));
  const Value k = b.in_bf16(memory_k, transposed(b.rows(key.k_width, key.k_step)));
  const Value v = b.in_bf16(memory_v, b.rows(key.v_width, key.v_step));
  const Value y = b.in_bf16(memory_y, b.own_rows());
  const Value log_sum = g.memory(memory_log_sum, CUDNN_DATA_FLOAT, b.statistics());
  const Value scale = g.number(memory_scale);
  const Value nothing = key.causal ? g.number(memory_hidden) : 0;
  const Value score = b.hidden(b.scaled_scores(q, k, scale), nothing);

  const Value max = g.between(CUDNN_DATA_FLOAT, b.statistics());
  g.reduce(CUDNN_REDUCE_TENSOR_MAX, score, max);
  const Value exponential = g.pointwise(CUDNN_POINTWISE_EXP, b.minus(score, max));
  const Value sum = g.between(CUDNN_DATA_FLOAT, b.statistics());
  g.reduce(CUDNN_REDUCE_TENSOR_ADD, exponential, sum);
  g.pointwise(CUDNN_POINTWISE_ADD, max, g.pointwise(CUDNN_POINTWISE_LOG, sum), std::nullopt,
              log_sum);
  // The operand of the second product must be bf16, whatever the preceding operation is.
  const Value weights = g.between(CUDNN_DATA_BFLOAT16, b.scores());
  if (key.dropout) {
    const Value p = g.pointwise(CUDNN_POINTWISE_DIV, exponential, sum);
    const Value mask = b.in_bf16(memory_mask, b.scores());
    const Value grown = b.times(p, g.number(memory_kept_scale));
    g.pointwise(CUDNN_POINTWISE_MUL, grown, mask, std::nullopt, weights);
  } else {
    g.pointwise(CUDNN_POINTWISE_DIV, exponential, sum, std::nullopt, weights);
  }
  g.matmul(weights, v, y);
  return g.plan(target, why);
}

// With p = exp(scale q k^T - log_sum), and m the dropout mask over 1 - p_drop: dv = (p m)^T dy, ds
// = p (dy v^T m - sum of dy y) scale, dk = ds^T q, dq = ds k.
std::optional<CudnnPlan> attention_backward_plan(const AttentionPlanKey& key,
                                                 const PlanTarget& target, std::string* why) {
  Builder b{key, {}};
  CudnnGraph& g = b.graph;
  const GraphLayout k_rows = b.rows(key.k_width, key.k_step);
  const Value q = b.in_bf16(memory_q, b.rows(key.q_width, key.q_step));
  const Value k = b.in_bf16(memory_k, transposed(k_rows));
  const Value v = b.in_bf16(memory_v, transposed(b.rows(key.v_width, key.v_step)));
  const Value y = b.in_bf16(memory_y, b.own_rows());
  const Value dy = b.in_bf16(memory_dy, b.own_rows());
  const Value log_sum = g.memory(memory_log_sum, CUDNN_DATA_FLOAT, b.statistics());
  const Value dq = b.in_bf16(memory_dq, b.rows(key.dq_width, key.dq_step));
  const Value dk = b.in_bf16(memory_dk, b.rows(key.dk_width, key.dk_step));
  const Value dv = b.in_bf16(memory_dv, b.rows(key.dv_width, key.dv_step));
  const Value scale = g.number(memory_scale), kept = g.number(memory_kept);
  const Value nothing = key.causal ? g.number(memory_hidden) : 0;
  const Value mask = key.dropout ? b.in_bf16(memory_mask, b.scores()) : 0;
  const Value kept_scale = key.dropout ? g.number(memory_kept_scale) : 0;

  const Value sums = g.between(CUDNN_DATA_FLOAT, b.statistics());
  g.reduce(CUDNN_REDUCE_TENSOR_ADD, b.times(dy, y), sums);
  const Value row_sums = g.memory(memory_row_sums, CUDNN_DATA_FLOAT, b.statistics());
  g.pointwise(CUDNN_POINTWISE_MUL, sums, kept, std::nullopt, row_sums);

  const Value distance = b.minus(b.scaled_scores(q, k, scale), log_sum);
  const Value p = g.pointwise(CUDNN_POINTWISE_EXP, b.hidden(distance, nothing));
  Value weights = p;
  if (key.dropout) weights = b.times(b.times(p, mask), kept_scale);
  const Value weights_by_key = g.between(CUDNN_DATA_BFLOAT16, transposed(b.scores()));
  g.reshape(weights, weights_by_key);
  g.matmul(weights_by_key, dy, dv);

  Value slope = g.between(CUDNN_DATA_FLOAT, b.scores());
  g.matmul(dy, v, slope);
  if (key.dropout) slope = b.times(slope, mask);
  slope = b.times(b.minus(slope, row_sums), p);
  if (key.dropout) slope = b.times(slope, kept_scale);
  slope = b.times(slope, scale);
  const Value slope_by_key = g.between(CUDNN_DATA_BFLOAT16, transposed(b.scores()));
  g.reshape(slope, slope_by_key);
  g.matmul(slope_by_key, q, dk);
  const Value keys = g.between(CUDNN_DATA_BFLOAT16, k_rows);
  g.reshape(k, keys);
  g.matmul(slope, keys, dq);
  return g.plan(target, why);
}

}  // namespace folio::cuda
