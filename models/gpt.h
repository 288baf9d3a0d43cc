// The GPT: a stack of residual blocks between token embedding and output projection.
#pragma once

#include <memory>
#include <vector>

#include "folio/autograd/ops.h"
#include "folio/autograd/parameters.h"
#include "folio/layers/block.h"
#include "folio/layers/embedding.h"
#include "folio/layers/key_value_cache.h"
#include "folio/layers/layer_norm.h"
#include "folio/layers/linear.h"
#include "folio/layers/positions.h"
#include "folio/models/gpt_config.h"

namespace folio {

class Gpt {
 public:
  /// Creates the parameters; the store is initialized by the caller. GPT-2's initialisation:
  /// weights normal(0.02), projections back into the residual stream normal(0.02 / sqrt(2 layers)),
  /// biases 0, gains 1 (Radford et al. 2019, section 2.3). Throws Error for an impossible config.
  Gpt(const Scope& scope, const GptConfig& config);

  const GptConfig& config() const { return config_; }
  /// Where the parameters lie, which must be initialized.
  Device device() const { return token_embedding_.weight->value.device(); }
  /// Tokens may always lie on the CPU, whatever the tape's device.
  /// tokens i32 (B, T), T <= context, each in [0, vocabulary). Result (B, T, V).
  Variable logits(Tape& tape, const Tensor& tokens) const;
  /// An empty cache for next_logits().
  KeyValueCache new_cache(int64_t batch) const;
  /// Reads tokens i32 (B, T) that follow the cache's positions, and adds them to the cache;
  /// computes nothing again. Result: the logits of the last, (B, 1, V). Throws Error if the context
  /// has no room for them, or while the tape records.
  Variable next_logits(Tape& tape, const Tensor& tokens, KeyValueCache& cache) const;
  /// Cross-entropy of the next token, one element. targets i32 (B, T), -1 where ignored; the sum
  /// over targets is divided by valid_targets (0: by the number not ignored here).
  Variable loss(Tape& tape, const Tensor& tokens, const Tensor& targets,
                double label_smoothing = 0.0, int64_t valid_targets = 0) const;

 private:
  /// The last block's output, normalised: (B, T, C). With a cache, of positions that follow its.
  Variable hidden(Tape& tape, const Tensor& tokens, const KeyValueCache* cache = nullptr) const;
  Variable project(Tape& tape, const Variable& hidden) const;

  GptConfig config_;
  Embedding token_embedding_;
  std::unique_ptr<PositionalEncoding> positions_;
  Dropout embedding_dropout_;
  std::vector<Block> blocks_;
  std::unique_ptr<LayerNorm> final_norm_;  // pre-norm only
  std::unique_ptr<Linear> output_;         // untied only
};

}  // namespace folio
