#include "folio/models/recurrent.h"

#include <fmt/format.h>

#include "folio/autograd/ops.h"
#include "folio/tensor/copy.h"
#include "folio/tensor/error.h"

namespace folio {
namespace {

const LstmConfig& checked(const LstmConfig& config) {
  FOLIO_CHECK(config.vocabulary > 0 && config.layers > 0 && config.width > 0, "model",
              "vocabulary {}, layers {}, width {}: all must be positive", config.vocabulary,
              config.layers, config.width);
  return config;
}

}  // namespace

void LstmConfig::bind(Section& section) {
  section.integer("layers", layers, 1, most_layers, "of LSTM, one above the other");
  section.integer("width", width, 1, most_width, "of embeddings and layers");
  section.integer("context", context, 1, most_context,
                  "T, tokens through which gradients flow; texts may be longer");
  section.number("dropout", dropout, fraction, "between layers, 0 to below 1");
  section.boolean("tied", tied, "the output embedding is the token embedding");
}

std::string LstmConfig::summary() const {
  return fmt::format("{} layers, width {}, {} tokens back in time", layers, width, context);
}

std::unique_ptr<Model> LstmConfig::make(const Scope& scope, const ModelInputs& inputs) const {
  LstmConfig config = *this;
  config.vocabulary = inputs.vocabulary;
  return std::make_unique<LstmModel>(scope, config);
}

LstmModel::LstmModel(const Scope& scope, const LstmConfig& config)
    : LanguageModel(scope),
      config_(checked(config)),
      token_embedding_(scope / "token_embedding", config.vocabulary, config.width) {
  for (int64_t i = 0; i < config.layers; ++i) {
    const Scope layer = scope / fmt::format("layers.{}", i);
    dropouts_.emplace_back(layer, config.dropout);
    layers_.emplace_back(layer, config.width, config.width);
  }
  dropouts_.emplace_back(scope / "output", config.dropout);
  if (!config.tied) {
    output_ = std::make_unique<Linear>(scope / "output", config.width, config.vocabulary, true);
  }
}

Variable LstmModel::read(Tape& tape, const Tensor& tokens, std::vector<LstmState>& states) const {
  FOLIO_CHECK(tokens.shape().rank() == 2 && tokens.dim(1) > 0, "lstm",
              "tokens are {}; wanted (B, T)", tokens.describe());
  Variable x = token_embedding_(tape, tokens);
  for (size_t i = 0; i < layers_.size(); ++i) {
    x = layers_[i](tape, dropouts_[i](tape, x), states[i]);
  }
  return dropouts_.back()(tape, x);
}

Variable LstmModel::hidden(Tape& tape, const Batch& batch) const {
  std::vector<LstmState> zeros(layers_.size());
  return read(tape, batch["tokens"], zeros);
}

Variable LstmModel::logits(Tape& tape, const Variable& hidden) const {
  if (output_) return (*output_)(tape, hidden);
  return linear(tape, hidden, token_embedding_.weight->variable());
}

DecoderState LstmModel::begin(const Batch&, int64_t texts) const {
  DecoderState state;
  for (size_t i = 0; i < 2 * layers_.size(); ++i) {
    state.tensors.emplace_back(Shape{texts, config_.width}, dtype(), device());
  }
  return state;
}

Variable LstmModel::next(Tape& tape, const Tensor& tokens, DecoderState& state) const {
  FOLIO_CHECK(!tape.recording(), "lstm",
              "the tape is recording, but a decoder's state has no gradient; use NoRecording");
  std::vector<LstmState> states(layers_.size());
  for (size_t i = 0; i < states.size() && state.length > 0; ++i) {
    states[i] = {{state.tensors[2 * i]}, {state.tensors[2 * i + 1]}};
  }
  const Variable all = read(tape, tokens, states);
  for (size_t i = 0; i < states.size(); ++i) {
    copy_tensor(state.tensors[2 * i], states[i].h.value);
    copy_tensor(state.tensors[2 * i + 1], states[i].c.value);
  }
  state.length += tokens.dim(1);
  return logits(tape, slice(tape, all, 1, tokens.dim(1) - 1, 1));
}

}  // namespace folio
