#include "folio/layers/attention.h"

#include "folio/tensor/error.h"

namespace folio {
namespace {

const Scope& checked(const Scope& scope, const AttentionLayerOptions& options) {
  FOLIO_CHECK(options.heads > 0 && options.width % options.heads == 0, scope.path(),
              "{} heads do not divide the width {}; choose heads that do", options.heads,
              options.width);
  return scope;
}

}  // namespace

SelfAttention::SelfAttention(const Scope& scope, const AttentionLayerOptions& options)
    : qkv(checked(scope, options) / "qkv", options.width, 3 * options.width, options.bias),
      projection(scope / "projection", options.width, options.width, options.bias,
                 options.projection_init),
      dropout(scope, options.dropout),
      heads(options.heads),
      causal(options.causal) {}

Variable SelfAttention::operator()(Tape& tape, const Variable& x,
                                   const std::optional<Tensor>& key_mask) const {
  const AttentionOptions options{.heads = heads,
                                 .causal = causal,
                                 .dropout = dropout.probability,
                                 .site = dropout.site,
                                 .key_mask = key_mask};
  return projection(tape, attention(tape, qkv(tape, x), options));
}

Variable SelfAttention::operator()(Tape& tape, const Variable& x,
                                   const KeyValueCache& cache) const {
  FOLIO_CHECK(causal, "attention", "a key-value cache requires causal attention");
  return projection(tape,
                    cached_attention(tape, qkv(tape, x), cache.keys_values, cache.length, heads));
}

CrossAttention::CrossAttention(const Scope& scope, const AttentionLayerOptions& options)
    : query(checked(scope, options) / "query", options.width, options.width, options.bias),
      key_value(scope / "key_value", options.width, 2 * options.width, options.bias),
      projection(scope / "projection", options.width, options.width, options.bias,
                 options.projection_init),
      dropout(scope, options.dropout),
      heads(options.heads) {}

Variable CrossAttention::keys_values(Tape& tape, const Variable& memory) const {
  return key_value(tape, memory);
}

Variable CrossAttention::operator()(Tape& tape, const Variable& x, const Variable& keys_values,
                                    const std::optional<Tensor>& key_mask) const {
  return projection(tape, attention(tape, query(tape, x), keys_values,
                                    {.heads = heads,
                                     .dropout = dropout.probability,
                                     .site = dropout.site,
                                     .key_mask = key_mask}));
}

}  // namespace folio
