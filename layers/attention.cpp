#include "folio/layers/attention.h"

#include "folio/tensor/error.h"

namespace folio {

MultiHeadAttention::MultiHeadAttention(const Scope& scope, int64_t width, int64_t heads, bool bias,
                                       double dropout_probability, const Init& projection_init)
    : qkv(scope / "qkv", width, 3 * width, bias),
      projection(scope / "projection", width, width, bias, projection_init),
      dropout(scope, dropout_probability),
      heads(heads),
      width(width) {
  FOLIO_CHECK(heads > 0 && width % heads == 0, scope.path(),
              "{} heads do not divide the width {}; choose heads that do", heads, width);
}

Variable MultiHeadAttention::operator()(Tape& tape, const Variable& x, bool causal,
                                        const Tensor* key_mask) const {
  const AttentionOptions options{.heads = heads,
                                 .causal = causal,
                                 .dropout = dropout.probability,
                                 .site = dropout.site,
                                 .key_mask = key_mask};
  return projection(tape, attention(tape, qkv(tape, x), options));
}

Variable MultiHeadAttention::operator()(Tape& tape, const Variable& x, const Variable& memory,
                                        const Tensor* key_mask) const {
  const AttentionOptions options{
      .heads = heads, .dropout = dropout.probability, .site = dropout.site, .key_mask = key_mask};
  // The rows of the packed weight: those of the queries first, then keys and values.
  const auto project = [&](const Variable& input, int64_t part) {
    const Variable weight = slice(tape, qkv.weight->variable(), 0, part * width, width);
    if (qkv.bias == nullptr) return linear(tape, input, weight, nullptr);
    const Variable bias = slice(tape, qkv.bias->variable(), 0, part * width, width);
    return linear(tape, input, weight, &bias);
  };
  // One after the other: the order of ops is the order in which gradients are summed.
  const Variable q = project(x, 0);
  const Variable k = project(memory, 1);
  const Variable v = project(memory, 2);
  return projection(tape, attention(tape, q, k, v, options));
}

Variable MultiHeadAttention::operator()(Tape& tape, const Variable& x,
                                        const KeyValueCache::Layer& cache) const {
  return projection(tape,
                    cached_attention(tape, qkv(tape, x), cache.keys_values, cache.length, heads));
}

}  // namespace folio
