// Recurrent language models: token embedding, layers of LSTM, output projection (Graves 2013,
// "Generating sequences with recurrent neural networks", arXiv:1308.0850, without its skip
// connections).
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "folio/layers/dropout.h"
#include "folio/layers/embedding.h"
#include "folio/layers/linear.h"
#include "folio/layers/lstm.h"
#include "folio/models/model.h"

namespace folio {

struct LstmConfig {
  int64_t vocabulary = 0;  // known once the tokenizer is
  int64_t layers = 2;
  int64_t width = 128;   // of embeddings and layers
  int64_t context = 64;  // T, tokens through which gradients flow; texts may be longer
  double dropout = 0.0;  // between layers (Zaremba et al. 2014)
  bool tied = true;      // the output embedding is the token embedding

  void bind(Section& section);
  std::string summary() const;
  std::unique_ptr<Model> make(const Scope& scope, const ModelInputs& inputs) const;
};

/// Every training sample begins with a state of zeros.
class LstmModel : public LanguageModel {
 public:
  /// Throws Error for an impossible config.
  LstmModel(const Scope& scope, const LstmConfig& config);

  int64_t vocabulary() const override { return config_.vocabulary; }
  int64_t context() const override { return 0; }
  Variable hidden(Tape& tape, const Batch& batch) const override;
  Variable logits(Tape& tape, const Variable& hidden) const override;
  /// The state holds h and c of every layer, (B, width).
  DecoderState begin(const Batch& given, int64_t texts) const override;
  Variable next(Tape& tape, const Tensor& tokens, DecoderState& state) const override;

 private:
  /// tokens (B, T) to (B, T, width); `states` has one entry a layer.
  Variable read(Tape& tape, const Tensor& tokens, std::vector<LstmState>& states) const;

  LstmConfig config_;
  Embedding token_embedding_;
  std::vector<Lstm> layers_;
  std::vector<Dropout> dropouts_;   // of each layer's input, and of the last one's output
  std::unique_ptr<Linear> output_;  // untied only
};

}  // namespace folio
