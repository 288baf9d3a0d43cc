// What training, evaluation and sampling know of a model. A family is one file beside this, and a
// line in families.cpp.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "folio/autograd/parameters.h"
#include "folio/autograd/tape.h"
#include "folio/data/batch.h"
#include "folio/data/tokenizer.h"
#include "folio/io/section.h"
#include "folio/io/variety.h"
#include "folio/layers/block.h"
#include "folio/models/decoder_state.h"

namespace folio {

/// What one of a family's layers is called in Folio and in Hugging Face's files. A "#" stands for
/// the number of a block. `conv1d`: there the weight is stored as (inputs, outputs).
struct NameRule {
  std::string_view folio, huggingface;
  bool conv1d = false;
};

/// What makes a checkpoint one that Hugging Face's libraries load.
struct HuggingFaceFiles {
  std::string config;                     // the text of config.json
  std::vector<NamedTensor> more_tensors;  // which the model lacks, under the names there
};

class Model {
 public:
  /// `scope` creates the parameters; the store is initialized by the caller.
  explicit Model(const Scope& scope) : store_(&scope.store()) {}
  virtual ~Model() = default;
  Model(const Model&) = delete;
  Model& operator=(const Model&) = delete;

  /// Where the parameters lie.
  Device device() const { return store_->device(); }
  /// What the parameters are computed with.
  DType dtype() const { return store_->dtype(); }

  /// What the model's head gives: of a language model the logits, (B, T, V).
  virtual Variable forward(Tape& tape, const Batch& batch) const = 0;

  /// The names of this family in Hugging Face's files; empty if it has none.
  virtual std::span<const NameRule> huggingface() const { return {}; }
  /// Nothing unless this very model is one that Hugging Face's libraries know.
  virtual std::optional<HuggingFaceFiles> to_huggingface(const Tokenizer&) const { return {}; }
  /// Brings the tensors of a file that others wrote, still under the names there, to what
  /// huggingface() describes: leaves out buffers, completes shortened names.
  virtual void from_huggingface(std::vector<NamedTensor>&) const {}
  /// Whether a parameter of this name may have more rows in a file than here; the first ones count.
  virtual bool takes_first_rows(std::string_view) const { return false; }

 protected:
  const ParameterStore& store() const { return *store_; }

 private:
  const ParameterStore* store_;
};

/// A model that writes text.
class LanguageModel : public Model {
 public:
  using Model::Model;

  /// The number of different tokens, V.
  virtual int64_t vocabulary() const = 0;
  /// The longest text, in tokens, that the model sees at once; 0 for no limit.
  virtual int64_t context() const = 0;

  /// The last layer's output, (B, T, C), which heads of tasks read. `batch` has "tokens", i32
  /// (B, T), which may lie on the CPU whatever the tape's device.
  virtual Variable hidden(Tape& tape, const Batch& batch) const = 0;
  /// hidden (B, T, C) to (B, T, V).
  virtual Variable logits(Tape& tape, const Variable& hidden) const = 0;
  Variable forward(Tape& tape, const Batch& batch) const override {
    return logits(tape, hidden(tape, batch));
  }

  /// The state before the first token of `texts` texts. `given` is what they are conditioned on,
  /// such as "source"; it may be empty.
  virtual DecoderState begin(const Batch& given, int64_t texts) const = 0;
  /// Reads tokens i32 (B, T), which follow those of the state, and adds them to it. Result: the
  /// logits of the last, (B, 1, V). Throws Error if the context has no room for them, or while the
  /// tape records.
  virtual Variable next(Tape& tape, const Tensor& tokens, DecoderState& state) const = 0;
};

/// What a model is made from besides its own options.
struct ModelInputs {
  int64_t vocabulary = 0;
  Recompute recompute = Recompute::none;  // families whose layers cannot be recomputed ignore it
};

/// The keys of one family in the section `model` of a config.
class ModelOptions {
 public:
  virtual ~ModelOptions() = default;
  virtual std::unique_ptr<ModelOptions> clone() const = 0;
  virtual void bind(Section& section) = 0;
  /// T, tokens in a training sample.
  virtual int64_t context() const = 0;
  /// For the terminal: "4 layers, 4 heads, width 128, context 64".
  virtual std::string summary() const = 0;
  /// Throws Error for impossible options.
  virtual std::unique_ptr<Model> make(const Scope& scope, const ModelInputs& inputs) const = 0;
};

/// ModelOptions by a family's own struct, which has bind(), summary(), make() and `context`.
template <class Options>
class ModelOptionsOf : public ModelOptions {
 public:
  Options options;

  std::unique_ptr<ModelOptions> clone() const override {
    return std::make_unique<ModelOptionsOf>(*this);
  }
  void bind(Section& section) override { options.bind(section); }
  int64_t context() const override { return options.context; }
  std::string summary() const override { return options.summary(); }
  std::unique_ptr<Model> make(const Scope& scope, const ModelInputs& inputs) const override {
    return options.make(scope, inputs);
  }
};

using ModelEntry = VarietyEntry<ModelOptions>;

/// A line of the list of families.
template <class Options>
ModelEntry model_entry(std::string_view name) {
  return {name, []() -> std::unique_ptr<ModelOptions> {
            return std::make_unique<ModelOptionsOf<Options>>();
          }};
}

/// The families, the first of which is the default (families.cpp).
std::span<const ModelEntry> families();

/// The section `model` of a config.
struct ModelConfig {
  Variety<ModelOptions> family{families()};

  void bind(Section& section);
  int64_t context() const { return family->context(); }
  /// The family's own options. Throws Error if the family is another one.
  template <class Options>
  Options& as();
};

/// Throws Error unless the model writes text, which `purpose` needs.
const LanguageModel& as_language_model(const Model& model, std::string_view purpose);

template <class Options>
Options& ModelConfig::as() {
  auto* const own = dynamic_cast<ModelOptionsOf<Options>*>(&*family);
  FOLIO_CHECK(own != nullptr, "model.family", "is {}, which has other options", family.name());
  return own->options;
}

}  // namespace folio
