// A model, an optimizer and a tokenizer small enough to save by the hundred.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "folio/autograd/parameters.h"
#include "folio/models/model.h"
#include "folio/optim/optimizer.h"
#include "folio/run/checkpoint.h"
#include "folio/tensor/random.h"
#include "support/temporary.h"

namespace folio {

/// Parameters with any names, of which nothing is computed.
struct BareModel : Model {
  using Model::Model;
  Variable forward(Tape&, const Batch&) const override { return {}; }
};

struct TinyState {
  explicit TinyState(uint64_t seed, DType dtype = DType::f32, const std::string& text = "abc",
                     OptimizerKind kind = OptimizerKind::adamw, int64_t width = 6)
      : parameters(dtype) {
    // A vector before a matrix: the slabs hold them the other way round.
    parameters.create("norm.weight", {width}, Init::normal(1.0));
    parameters.create("qkv.weight", {4, width}, Init::normal(1.0));
    parameters.create("norm.bias", {width}, Init::normal(1.0));
    parameters.create("head.weight", {3, 4}, Init::normal(1.0));
    parameters.initialize(seed);
    OptimizerConfig config;
    config.kind = kind;
    optimizer = std::make_unique<Optimizer>(parameters, config);
    const RandomStream stream{.seed = seed, .purpose = purpose_of("moments"), .step = 0};
    uint64_t next = 0;
    for (OptimizerState& state : optimizer->state()) {
      for (int64_t i = 0; i < state.slab.numel(); ++i) {
        const double value = stream.normal(next++);
        if (dtype == DType::f64) state.slab.data<double>()[i] = value;
        if (dtype == DType::f32) state.slab.data<float>()[i] = static_cast<float>(value);
      }
    }
    tokenizer = CharTokenizer::build(text, UnknownCharacter::error, "test");
  }

  void save(const std::filesystem::path& directory, const Progress& progress = {.step = 500}) {
    save_checkpoint(directory, model, parameters, *optimizer, *tokenizer, config, progress);
  }
  Progress load(const std::filesystem::path& directory) {
    load_parameters(directory, model, parameters);
    return load_progress(directory, parameters, *optimizer);
  }
  /// The bytes of weights and moments.
  std::string bytes() {
    std::string all;
    const auto append = [&](const Tensor& slab) {
      all.append(static_cast<const char*>(slab.raw()), static_cast<size_t>(slab.bytes()));
    };
    append(parameters.values());
    for (const OptimizerState& state : optimizer->state()) append(state.slab);
    return all;
  }

  ParameterStore parameters;
  BareModel model{Scope(parameters)};
  std::unique_ptr<Optimizer> optimizer;
  std::unique_ptr<Tokenizer> tokenizer;
  Config config;
};

/// Every file below `directory` with its content, and every directory with none.
inline std::map<std::string, std::string> contents_of(const std::filesystem::path& directory) {
  std::map<std::string, std::string> contents;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(directory)) {
    contents[entry.path().lexically_relative(directory).string()] =
        entry.is_directory() ? "" : read_text(entry.path());
  }
  return contents;
}

/// A run directory with nothing in it yet.
class CheckpointTest : public ::testing::Test {
 protected:
  std::filesystem::path step(int64_t number) const {
    return checkpoints / ("step_" + std::to_string(number));
  }

  TemporaryDirectory directory;
  std::filesystem::path run = directory.path();
  std::filesystem::path checkpoints = run / "checkpoints";
};

}  // namespace folio
