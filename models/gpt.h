// The GPT: a stack of residual blocks between token embedding and output projection (Radford et al.
// 2019, "Language models are unsupervised multitask learners").
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "folio/autograd/ops.h"
#include "folio/layers/block.h"
#include "folio/layers/embedding.h"
#include "folio/layers/layer_norm.h"
#include "folio/layers/linear.h"
#include "folio/layers/positions.h"
#include "folio/models/model.h"

namespace folio {

struct GptConfig {
  int64_t vocabulary = 0;  // known once the tokenizer is
  int64_t layers = 4;
  int64_t heads = 4;
  int64_t width = 128;   // C; heads must divide it
  int64_t context = 64;  // T, the longest input
  double dropout = 0.0;
  bool bias = false;  // of linear layers and layer norms
  Norm norm = Norm::pre;
  Positions positions = Positions::learned;
  Activation activation = Activation::gelu;
  bool tied = true;  // the output embedding is the token embedding
  Recompute recompute = Recompute::none;

  void bind(Section& section);
  std::string summary() const;
  std::unique_ptr<Model> make(const Scope& scope, const ModelInputs& inputs) const;
};

class Gpt : public LanguageModel {
 public:
  /// Creates the parameters; the store is initialized by the caller. GPT-2's initialisation:
  /// weights normal(0.02), projections back into the residual stream normal(0.02 / sqrt(2 layers)),
  /// biases 0, gains 1 (Radford et al. 2019, section 2.3). Throws Error for an impossible config.
  Gpt(const Scope& scope, const GptConfig& config);

  const GptConfig& config() const { return config_; }
  int64_t vocabulary() const override { return config_.vocabulary; }
  int64_t context() const override { return config_.context; }

  Variable hidden(Tape& tape, const Batch& batch) const override;
  Variable logits(Tape& tape, const Variable& hidden) const override;
  /// tokens i32 (B, T), T <= context, each in [0, vocabulary). Result (B, T, V).
  Variable logits(Tape& tape, const Tensor& tokens) const;
  /// Cross-entropy of the next token, one element. targets i32 (B, T), ignored_target where they do
  /// not count; the sum over targets is divided by valid_targets (0: by the number that count
  /// here).
  Variable loss(Tape& tape, const Tensor& tokens, const Tensor& targets,
                double label_smoothing = 0.0, int64_t valid_targets = 0) const;

  /// The state holds keys and values of every layer, (B, context, 2 C), side by side.
  DecoderState begin(const Batch& given, int64_t texts) const override;
  Variable next(Tape& tape, const Tensor& tokens, DecoderState& state) const override;

  /// GPT-2's names. Only a GPT with pre-norm and learned positions is one of Hugging Face's.
  std::span<const NameRule> huggingface() const override;
  std::optional<HuggingFaceFiles> to_huggingface(const Tokenizer& tokenizer) const override;
  void from_huggingface(std::vector<NamedTensor>& tensors) const override;
  bool takes_first_rows(std::string_view name) const override;

 private:
  /// The last block's output, normalised: (B, T, C). With a state, of positions that follow its.
  Variable hidden(Tape& tape, const Tensor& tokens, const DecoderState* state) const;

  GptConfig config_;
  Embedding token_embedding_;
  PositionalEncoding positions_;
  Dropout embedding_dropout_;
  std::vector<Block> blocks_;
  std::unique_ptr<LayerNorm> final_norm_;  // pre-norm only
  std::unique_ptr<Linear> output_;         // untied only
};

}  // namespace folio
