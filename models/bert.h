// BERT: an encoder of the Transformer that sees both directions (Devlin et al. 2019, "BERT:
// pre-training of deep bidirectional transformers for language understanding").
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "folio/layers/block.h"
#include "folio/layers/embedding.h"
#include "folio/layers/layer_norm.h"
#include "folio/layers/linear.h"
#include "folio/layers/positions.h"
#include "folio/models/model.h"

namespace folio {

struct BertConfig {
  int64_t vocabulary = 0;  // of the text; the model has one token more, which stands for a mask
  int64_t layers = 4;
  int64_t heads = 4;
  int64_t width = 128;   // C; heads must divide it
  int64_t context = 64;  // T, the longest input
  double dropout = 0.1;
  Recompute recompute = Recompute::none;

  void bind(Section& section);
  std::string summary() const;
  std::unique_ptr<Model> make(const Scope& scope, const ModelInputs& inputs) const;
};

class Bert : public Model {
 public:
  /// Weights are normal(0.02), biases 0, gains 1. Throws Error for an impossible config.
  Bert(const Scope& scope, const BertConfig& config);

  /// `batch` has "tokens", i32 (B, T), T <= context, each in [0, vocabulary], of which `vocabulary`
  /// is the mask; and optionally "mask", i32 (B, T), 0 where a position is padding. Result: logits
  /// of the token at each position, (B, T, vocabulary + 1).
  Variable forward(Tape& tape, const Batch& batch) const override;
  /// The last block's output, (B, T, C): contextual vectors.
  Variable hidden(Tape& tape, const Batch& batch) const;

 private:
  BertConfig config_;
  Embedding token_embedding_;
  PositionalEncoding positions_;
  LayerNorm embedding_norm_;
  Dropout embedding_dropout_;
  std::vector<Block> blocks_;
  Linear transform_;  // of the head, with GELU
  LayerNorm transform_norm_;
  Parameter* output_bias_;
};

}  // namespace folio
