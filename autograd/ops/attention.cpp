// Multi-head attention, packed and with separate queries, keys and values.
#include <cmath>
#include <cstdint>
#include <initializer_list>

#include "folio/autograd/observer.h"
#include "folio/autograd/ops.h"
#include "folio/autograd/ops/checks.h"
#include "folio/kernels/kernels.h"

namespace folio {
namespace {

AttentionShape attention_shape(const Tape& tape, const AttentionOptions& options, int64_t batch,
                               int64_t queries, int64_t keys, int64_t columns) {
  FOLIO_CHECK(options.heads > 0 && columns % options.heads == 0, "attention",
              "{} heads do not divide {} columns", options.heads, columns);
  if (options.key_mask) {
    const Tensor& mask = *options.key_mask;
    FOLIO_CHECK(mask && mask.dtype() == DType::i32 && mask.shape() == Shape({batch, keys}),
                "attention", "key_mask is {}; wanted i32 ({}, {})", mask.describe(), batch, keys);
  }
  const int64_t head_dim = columns / options.heads;
  return {.batch = batch,
          .heads = options.heads,
          .queries = queries,
          .keys = keys,
          .head_dim = head_dim,
          .causal = options.causal,
          .scale = 1.0 / std::sqrt(static_cast<double>(head_dim)),
          .dropout = tape.dropout_mask(options.dropout, options.site,
                                       {batch, options.heads, queries, keys})};
}

/// Columns of a (B, T, W) variable from `first` on.
struct Operand {
  Variable variable;
  int64_t first = 0;

  /// Whether the two are different columns of one tensor.
  bool packed_with(const Operand& other) const {
    return variable.slot == other.variable.slot && first != other.first;
  }
};

void observe(const Tape& tape, const AttentionShape& shape, const Operand& q, const Operand& k,
             const Tensor& key_mask) {
  if (tape.observer() == nullptr) return;
  tape.observer()->attention({.queries = q.variable.value,
                              .first_query_column = q.first,
                              .keys = k.variable.value,
                              .first_key_column = k.first,
                              .heads = shape.heads,
                              .head_dim = shape.head_dim,
                              .causal = shape.causal,
                              .scale = shape.scale,
                              .key_mask = key_mask});
}

/// `inputs` are the distinct variables among q, k and v.
Variable attend(Tape& tape, const Operand& q, const Operand& k, const Operand& v, int64_t columns,
                const AttentionOptions& options, std::initializer_list<const Variable*> inputs) {
  const Tensor &query = q.variable.value, &key = k.variable.value;
  const AttentionShape shape =
      attention_shape(tape, options, query.dim(0), query.dim(1), key.dim(1), columns);
  const Variable y = tape.output(query.shape().with(2, columns), query.dtype(), inputs);
  const Tensor log_sum =
      tape.scratch({shape.batch, shape.heads, shape.queries}, accumulator_of(query.dtype()));
  const Tensor key_mask = options.key_mask.value_or(Tensor());
  tape.kernels().attention_forward(y.value, log_sum, {&query, q.first}, {&key, k.first},
                                   {&v.variable.value, v.first}, key_mask, shape);
  observe(tape, shape, q, k, key_mask);
  tape.record("attention", y,
              [shape, log_sum, key_mask, dq = q.variable.slot, dk = k.variable.slot,
               dv = v.variable.slot, dy = y.slot, q_first = q.first, k_first = k.first,
               v_first = v.first, k_with_q = k.packed_with(q), v_with_k = v.packed_with(k),
               q = query, k = key, v = v.variable.value, y = y.value](Tape& tape) {
                const GradTarget q_target = tape.grad_of(dq);
                const GradTarget k_target = k_with_q ? q_target : tape.grad_of(dk);
                const GradTarget v_target = v_with_k ? k_target : tape.grad_of(dv);
                tape.kernels().attention_backward(
                    {q_target, q_first}, {k_target, k_first}, {v_target, v_first}, {&q, q_first},
                    {&k, k_first}, {&v, v_first}, key_mask, y, log_sum, tape.grad(dy), shape);
              });
  return y;
}

}  // namespace

Variable attention(Tape& tape, const Variable& q, const Variable& k, const Variable& v,
                   const AttentionOptions& options) {
  check_floating("attention", "q", q.value);
  FOLIO_CHECK(q.shape().rank() == 3 && k.shape().rank() == 3, "attention",
              "q is {} and k is {}; wanted (B, Tq, C) and (B, Tk, C)", q.value.describe(),
              k.value.describe());
  const int64_t columns = q.dim(2);
  check_shape("attention", "k", k.value, {q.dim(0), k.dim(1), columns}, q.value);
  check_shape("attention", "v", v.value, k.shape(), q.value);
  return attend(tape, {q}, {k}, {v}, columns, options, {&q, &k, &v});
}

Variable attention(Tape& tape, const Variable& q, const Variable& keys_values,
                   const AttentionOptions& options) {
  check_floating("attention", "q", q.value);
  FOLIO_CHECK(q.shape().rank() == 3 && keys_values.shape().rank() == 3, "attention",
              "q is {} and keys_values {}; wanted (B, Tq, C) and (B, Tk, 2 C)", q.value.describe(),
              keys_values.value.describe());
  const int64_t columns = q.dim(2);
  check_shape("attention", "keys_values", keys_values.value,
              {q.dim(0), keys_values.dim(1), 2 * columns}, q.value);
  return attend(tape, {q}, {keys_values, 0}, {keys_values, columns}, columns, options,
                {&q, &keys_values});
}

Variable attention(Tape& tape, const Variable& qkv, const AttentionOptions& options) {
  check_floating("attention", "qkv", qkv.value);
  FOLIO_CHECK(qkv.shape().rank() == 3 && qkv.dim(2) % 3 == 0, "attention",
              "qkv is {}; wanted (B, T, 3 C)", qkv.value.describe());
  const int64_t columns = qkv.dim(2) / 3;
  return attend(tape, {qkv, 0}, {qkv, columns}, {qkv, 2 * columns}, columns, options, {&qkv});
}

Variable cached_attention(Tape& tape, const Variable& qkv, const Tensor& cache, int64_t length,
                          int64_t heads) {
  const char* name = "cached_attention";
  check_floating(name, "qkv", qkv.value);
  FOLIO_CHECK(!tape.recording(), name,
              "the tape is recording, but a cache has no gradient; use NoRecording");
  FOLIO_CHECK(qkv.shape().rank() == 3 && qkv.dim(2) % 3 == 0, name, "qkv is {}; wanted (B, T, 3 C)",
              qkv.value.describe());
  const int64_t batch = qkv.dim(0), queries = qkv.dim(1), columns = qkv.dim(2) / 3;
  const int64_t keys = length + queries;
  check_same_type(name, "cache", cache, qkv.value);
  FOLIO_CHECK(length >= 0 && cache.shape().rank() == 3 && cache.dim(0) == batch &&
                  cache.dim(1) >= keys && cache.dim(2) == 2 * columns,
              name, "cache is {}; wanted ({}, at least {}, {})", cache.describe(), batch, keys,
              2 * columns);
  const Tensor added = tape.scratch({batch, queries, 2 * columns}, cache.dtype());
  tape.kernels().copy_range({&added, false}, 0, qkv.value, columns, 2 * columns, 2);
  tape.kernels().copy_range({&cache, false}, length, added, 0, queries, 1);
  const AttentionShape shape =
      attention_shape(tape, {.heads = heads, .causal = true}, batch, queries, keys, columns);
  const Variable y = tape.output(qkv.shape().with(2, columns), cache.dtype(), {&qkv});
  const Tensor log_sum = tape.scratch({batch, heads, queries}, accumulator_of(cache.dtype()));
  tape.kernels().attention_forward(y.value, log_sum, {&qkv.value, 0}, {&cache, 0},
                                   {&cache, columns}, Tensor(), shape);
  tape.record(name, y, [](Tape&) {});  // for observers
  return y;
}

}  // namespace folio
