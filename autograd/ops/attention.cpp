// Multi-head attention, packed and with separate queries, keys and values.
#include <cmath>

#include "folio/autograd/ops.h"
#include "folio/autograd/ops/checks.h"
#include "folio/kernels/kernels.h"

namespace folio {
namespace {

AttentionShape attention_shape(const Tape& tape, const AttentionOptions& options, int64_t batch,
                               int64_t queries, int64_t keys, int64_t columns) {
  FOLIO_CHECK(options.heads > 0 && columns % options.heads == 0, "attention",
              "{} heads do not divide {} columns", options.heads, columns);
  if (options.key_mask != nullptr) {
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
  const AttentionShape shape =
      attention_shape(tape, options, q.dim(0), q.dim(1), k.dim(1), columns);
  const Variable y = tape.output(q.shape(), q.value.dtype(), {&q, &k, &v});
  const Tensor log_sum =
      tape.scratch({shape.batch, shape.heads, shape.queries}, accumulator_of(q.value.dtype()));
  const Tensor key_mask = options.key_mask != nullptr ? *options.key_mask : Tensor();
  tape.kernels().attention_forward(y.value, log_sum, {&q.value}, {&k.value}, {&v.value}, key_mask,
                                   shape);
  tape.record("attention", y,
              [shape, log_sum, key_mask, dq = q.slot, dk = k.slot, dv = v.slot, dy = y.slot,
               q = q.value, k = k.value, v = v.value, y = y.value](Tape& tape) {
                const GradTarget q_target = tape.grad_of(dq);
                const GradTarget k_target = tape.grad_of(dk);
                const GradTarget v_target = tape.grad_of(dv);
                tape.kernels().attention_backward({q_target}, {k_target}, {v_target}, {&q}, {&k},
                                                  {&v}, key_mask, y, log_sum, tape.grad(dy), shape);
              });
  return y;
}

Variable attention(Tape& tape, const Variable& qkv, const AttentionOptions& options) {
  check_floating("attention", "qkv", qkv.value);
  FOLIO_CHECK(qkv.shape().rank() == 3 && qkv.dim(2) % 3 == 0, "attention",
              "qkv is {}; wanted (B, T, 3 C)", qkv.value.describe());
  const int64_t columns = qkv.dim(2) / 3;
  const AttentionShape shape =
      attention_shape(tape, options, qkv.dim(0), qkv.dim(1), qkv.dim(1), columns);
  const Variable y = tape.output(qkv.shape().with(2, columns), qkv.value.dtype(), {&qkv});
  const Tensor log_sum =
      tape.scratch({shape.batch, shape.heads, shape.queries}, accumulator_of(qkv.value.dtype()));
  const Tensor key_mask = options.key_mask != nullptr ? *options.key_mask : Tensor();
  const auto part = [columns](const Tensor& packed, int i) {
    return HeadColumns{&packed, i * columns};
  };
  tape.kernels().attention_forward(y.value, log_sum, part(qkv.value, 0), part(qkv.value, 1),
                                   part(qkv.value, 2), key_mask, shape);
  tape.record("attention", y,
              [shape, columns, part, log_sum, key_mask, dqkv = qkv.slot, dy = y.slot,
               qkv = qkv.value, y = y.value](Tape& tape) {
                const GradTarget target = tape.grad_of(dqkv);
                tape.kernels().attention_backward(
                    {target, 0}, {target, columns}, {target, 2 * columns}, part(qkv, 0),
                    part(qkv, 1), part(qkv, 2), key_mask, y, log_sum, tape.grad(dy), shape);
              });
  return y;
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
