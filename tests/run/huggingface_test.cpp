// Checkpoints under Hugging Face's names. What transformers itself makes of them:
// tests/formats/huggingface_check.py.
#include "folio/models/huggingface.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "folio/io/transposed.h"
#include "folio/models/gpt.h"
#include "folio/run/checkpoint.h"
#include "folio/run/initial_weights.h"
#include "support/tiny_checkpoint.h"

namespace folio {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::UnorderedElementsAre;

/// A GPT with an optimizer and a tokenizer, in f32.
struct TinyGpt {
  explicit TinyGpt(const std::vector<std::string>& overrides, uint64_t seed = 1)
      : config(parse_config("model: {layers: 2, heads: 2, width: 4, context: 3}", "tiny.yaml",
                            overrides)),
        tokenizer(CharTokenizer::build("abcde", UnknownCharacter::error, "test")) {
    GptConfig with_vocabulary = config.model.as<GptConfig>();
    with_vocabulary.vocabulary = 5;
    model = std::make_unique<Gpt>(Scope(parameters), with_vocabulary);
    parameters.initialize(seed);
    optimizer = std::make_unique<Optimizer>(parameters, config.optimizer);
    // Biases begin as zeros; here every number is another.
    float* value = parameters.values().data<float>();
    for (int64_t i = 0; i < parameters.numel(); ++i) value[i] = static_cast<float>(i + seed);
  }
  void save(const fs::path& directory) {
    save_checkpoint(directory, *model, parameters, *optimizer, *tokenizer, config, {.step = 1});
  }
  std::vector<float> values() const { return parameters.values().to_vector<float>(); }

  Config config;
  std::unique_ptr<Tokenizer> tokenizer;
  ParameterStore parameters;
  std::unique_ptr<Gpt> model;
  std::unique_ptr<Optimizer> optimizer;
};

class HuggingFace : public ::testing::Test {
 protected:
  /// "name (shape)" of every tensor of the saved weights.
  std::vector<std::string> saved_names() const {
    std::vector<std::string> names;
    for (const auto& [name, tensor, transposed] : saved().tensors) {
      names.push_back(name + " " + tensor.shape().to_string());
    }
    return names;
  }
  SafetensorsFile saved() const { return read_safetensors(checkpoint_ / "model.safetensors"); }
  Tensor saved(std::string_view name) const {
    const SafetensorsFile file = saved();
    const auto found = std::ranges::find(file.tensors, name, &NamedTensor::name);
    if (found == file.tensors.end()) return {};
    return found->tensor;
  }

  TemporaryDirectory directory_;
  fs::path checkpoint_ = directory_.path() / "checkpoint";
};

TEST(HuggingFaceNames, ThereAndBack) {
  const TinyGpt gpt({});
  const std::vector<std::pair<std::string, std::string>> pairs = {
      {"token_embedding.weight", "transformer.wte.weight"},
      {"position_embedding.weight", "transformer.wpe.weight"},
      {"blocks.0.attention_norm.weight", "transformer.h.0.ln_1.weight"},
      {"blocks.11.attention.qkv.weight", "transformer.h.11.attn.c_attn.weight"},
      {"blocks.11.attention.qkv.bias", "transformer.h.11.attn.c_attn.bias"},
      {"blocks.3.attention.projection.weight", "transformer.h.3.attn.c_proj.weight"},
      {"blocks.3.feed_forward_norm.bias", "transformer.h.3.ln_2.bias"},
      {"blocks.3.feed_forward.up.weight", "transformer.h.3.mlp.c_fc.weight"},
      {"blocks.3.feed_forward.down.weight", "transformer.h.3.mlp.c_proj.weight"},
      {"final_norm.weight", "transformer.ln_f.weight"},
      {"output.weight", "lm_head.weight"},
      // Not a GPT-2's: they stay as they are.
      {"embedding.weight", "embedding.weight"},
      {"blocks..attention.qkv.weight", "blocks..attention.qkv.weight"},
      {"blocks.x.attention.qkv.weight", "blocks.x.attention.qkv.weight"},
      {"blocks.1.attention.qkv.gain", "blocks.1.attention.qkv.gain"},
      {"blocks.1.attention.qkv.weight.first_moment", "blocks.1.attention.qkv.weight.first_moment"},
      {"my.output.weight", "my.output.weight"},
      {"output", "output"},
      {"", ""},
  };
  for (const auto& [here, there] : pairs) {
    EXPECT_EQ(huggingface_name(gpt.model->huggingface(), here), there);
    EXPECT_EQ(folio_name(gpt.model->huggingface(), there), here);
    EXPECT_EQ(huggingface_name({}, here), here);
    EXPECT_EQ(folio_name({}, there), there);
  }
}

TEST(Transposed, SwapsRowsAndColumns) {
  const Tensor matrix = Tensor::from<float>({2, 3}, {1, 2, 3, 4, 5, 6});
  EXPECT_EQ(transposed(matrix).shape(), (Shape{3, 2}));
  EXPECT_THAT(transposed(matrix).to_vector<float>(), ElementsAre(1, 4, 2, 5, 3, 6));
  std::vector<double> values(37 * 50);
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<double>(i);
  const Tensor odd = Tensor::from<double>({37, 50}, values);
  EXPECT_EQ(transposed(odd).data<double>()[49 * 37 + 36], values.back());
  EXPECT_EQ(transposed(transposed(odd)).to_vector<double>(), values);
  EXPECT_THAT(error_of([] { transposed(Tensor({2}, DType::f32)); }), HasSubstr("not a matrix"));
}

TEST_F(HuggingFace, AGpt2IsSavedAsThere) {
  TinyGpt gpt({"model.bias=true"});
  gpt.save(checkpoint_);
  std::vector<std::string> expected = {"transformer.wte.weight (5, 4)",
                                       "transformer.wpe.weight (3, 4)",
                                       "transformer.ln_f.weight (4)", "transformer.ln_f.bias (4)"};
  for (const std::string block : {"transformer.h.0.", "transformer.h.1."}) {
    for (const char* rest :
         {"ln_1.weight (4)", "ln_1.bias (4)", "attn.c_attn.weight (4, 12)", "attn.c_attn.bias (12)",
          "attn.c_proj.weight (4, 4)", "attn.c_proj.bias (4)", "ln_2.weight (4)", "ln_2.bias (4)",
          "mlp.c_fc.weight (4, 16)", "mlp.c_fc.bias (16)", "mlp.c_proj.weight (16, 4)",
          "mlp.c_proj.bias (4)"}) {
      expected.push_back(block + rest);
    }
  }
  EXPECT_THAT(saved_names(), ::testing::UnorderedElementsAreArray(expected));
  // (out, in) here, (in, out) there.
  const Tensor here = gpt.parameters.find("blocks.1.feed_forward.up.weight").value;
  const Tensor there = saved("transformer.h.1.mlp.c_fc.weight");
  for (int64_t out = 0; out < 16; ++out) {
    for (int64_t in = 0; in < 4; ++in) {
      EXPECT_EQ(there.data<float>()[in * 16 + out], here.data<float>()[out * 4 + in]);
    }
  }
  EXPECT_EQ(saved("transformer.wte.weight").to_vector<float>(),
            gpt.parameters.find("token_embedding.weight").value.to_vector<float>());
  const auto config = nlohmann::json::parse(read_text(checkpoint_ / "config.json"));
  EXPECT_EQ(config.at("model_type"), "gpt2");
  EXPECT_EQ(config.at("vocab_size"), 5);
  EXPECT_EQ(config.at("n_positions"), 3);
  EXPECT_EQ(config.at("n_ctx"), 3);
  EXPECT_EQ(config.at("n_embd"), 4);
  EXPECT_EQ(config.at("n_layer"), 2);
  EXPECT_EQ(config.at("n_head"), 2);
  EXPECT_EQ(config.at("activation_function"), "gelu");
  EXPECT_EQ(config.at("layer_norm_epsilon"), 1e-5);
  EXPECT_EQ(config.at("tie_word_embeddings"), true);

  TinyGpt back({"model.bias=true"}, 7);
  EXPECT_NE(back.values(), gpt.values());
  load_parameters(checkpoint_, *back.model, back.parameters);
  EXPECT_EQ(back.values(), gpt.values());
}

TEST_F(HuggingFace, AnUntiedOutputKeepsItsOrientation) {
  TinyGpt gpt({"model.tied=false", "model.activation=gelu_tanh"});
  gpt.save(checkpoint_);
  EXPECT_EQ(saved("lm_head.weight").to_vector<float>(),
            gpt.parameters.find("output.weight").value.to_vector<float>());
  const auto config = nlohmann::json::parse(read_text(checkpoint_ / "config.json"));
  EXPECT_EQ(config.at("tie_word_embeddings"), false);
  EXPECT_EQ(config.at("activation_function"), "gelu_new");
}

TEST_F(HuggingFace, MissingBiasesAreZerosThere) {
  TinyGpt gpt({"model.bias=false"});
  gpt.save(checkpoint_);
  EXPECT_THAT(saved_names(), ::testing::SizeIs(28));
  EXPECT_EQ(saved("transformer.h.1.mlp.c_fc.bias").to_vector<float>(), std::vector<float>(16));
  EXPECT_EQ(saved("transformer.ln_f.bias").to_vector<float>(), std::vector<float>(4));
  TinyGpt back({"model.bias=false"}, 7);
  load_parameters(checkpoint_, *back.model, back.parameters);
  EXPECT_EQ(back.values(), gpt.values());
}

TEST_F(HuggingFace, TrainedBiasesAreNotLost) {
  TinyGpt({"model.bias=true"}).save(checkpoint_);
  TinyGpt without({"model.bias=false"}, 7);
  const auto before = without.values();
  EXPECT_THAT(error_of([&] { load_parameters(checkpoint_, *without.model, without.parameters); }),
              HasSubstr(".bias is in the file but not in the model"));
  EXPECT_EQ(without.values(), before);
}

TEST_F(HuggingFace, ErrorsSpeakOfTheModelsOwnNames) {
  TinyGpt({}).save(checkpoint_);
  TinyGpt wider({"model.width=6"}), deeper({"model.layers=3"});
  EXPECT_THAT(error_of([&] { load_parameters(checkpoint_, *wider.model, wider.parameters); }),
              HasSubstr("token_embedding.weight is (5, 4) in the file but (5, 6)"));
  EXPECT_THAT(error_of([&] { load_parameters(checkpoint_, *deeper.model, deeper.parameters); }),
              HasSubstr("blocks.2.attention_norm.weight is in the model but not in the file"));
}

TEST_F(HuggingFace, WhatIsNoGpt2KeepsItsOwnNames) {
  for (const char* other : {"model.norm=post", "model.positions=sinusoidal"}) {
    SCOPED_TRACE(other);
    TinyGpt gpt({other}), back({other}, 7);
    EXPECT_FALSE(gpt.model->to_huggingface(*gpt.tokenizer));
    gpt.save(checkpoint_);
    EXPECT_FALSE(fs::exists(checkpoint_ / "config.json"));
    std::vector<std::string> expected;
    for (const Parameter& parameter : gpt.parameters.parameters()) {
      expected.push_back(parameter.name + " " + parameter.shape.to_string());
      EXPECT_EQ(saved(parameter.name).to_vector<float>(), parameter.value.to_vector<float>());
    }
    EXPECT_THAT(saved_names(), ::testing::UnorderedElementsAreArray(expected));
    load_parameters(checkpoint_, *back.model, back.parameters);
    EXPECT_EQ(back.values(), gpt.values());
  }
}

// As Folio once saved them.
TEST_F(HuggingFace, WhatIsNoGpt2IsReadUnderItsNamesToo) {
  for (const char* other : {"model.norm=post", "model.positions=sinusoidal"}) {
    SCOPED_TRACE(other);
    TinyGpt gpt({other, "model.bias=true"}), back({other, "model.bias=true"}, 7);
    fs::remove_all(checkpoint_);
    fs::create_directories(checkpoint_);
    write_safetensors(checkpoint_ / "model.safetensors",
                      to_huggingface(gpt.model->huggingface(), gpt.parameters), {});
    EXPECT_EQ(saved("transformer.h.0.attn.c_attn.weight").shape(), Shape({4, 12}));
    load_initial_weights(checkpoint_, *back.model, back.parameters);
    EXPECT_EQ(back.values(), gpt.values());
  }
}

TEST_F(HuggingFace, AFamilyWithoutNamesThereHasNone) {
  ParameterStore own, back;
  for (ParameterStore* store : {&own, &back}) {
    store->create("token_embedding.weight", {5, 4}, Init::normal(1.0));
    store->create("blocks.0.attention.qkv.weight", {4, 3}, Init::normal(1.0));
  }
  own.initialize(1);
  back.initialize(2);
  const BareModel model{Scope(own)};
  Optimizer optimizer(own, {});
  const auto tokenizer = CharTokenizer::build("abc", UnknownCharacter::error, "test");
  EXPECT_TRUE(model.huggingface().empty());
  EXPECT_FALSE(model.to_huggingface(*tokenizer));
  save_checkpoint(checkpoint_, model, own, optimizer, *tokenizer, {}, {.step = 1});
  EXPECT_FALSE(fs::exists(checkpoint_ / "config.json"));
  EXPECT_THAT(saved_names(), UnorderedElementsAre("token_embedding.weight (5, 4)",
                                                  "blocks.0.attention.qkv.weight (4, 3)"));
  load_parameters(checkpoint_, BareModel{Scope(back)}, back);
  EXPECT_EQ(back.values().to_vector<float>(), own.values().to_vector<float>());
}

/// A family with names of its own there, one of a transposed matrix.
struct NamedModel : BareModel {
  using BareModel::BareModel;
  static constexpr NameRule rules[] = {{"blocks.#.attention.qkv", "layers.#.c_attn", true}};
  std::span<const NameRule> huggingface() const override { return rules; }
  std::optional<HuggingFaceFiles> to_huggingface(const Tokenizer&) const override {
    return HuggingFaceFiles{"{}\n", {}};
  }
};

TEST_F(HuggingFace, OwnNamesAndTransposedMatricesLiveTogether) {
  ParameterStore own, back;
  for (ParameterStore* store : {&own, &back}) {
    store->create("recur.weight", {2, 3}, Init::normal(1.0));
    store->create("blocks.0.attention.qkv.weight", {4, 3}, Init::normal(1.0));
    store->create("blocks.1.attention.qkv.weight", {4}, Init::normal(1.0));  // no matrix
  }
  own.initialize(1);
  back.initialize(2);
  Optimizer optimizer(own, {});
  const auto tokenizer = CharTokenizer::build("abc", UnknownCharacter::error, "test");
  save_checkpoint(checkpoint_, NamedModel{Scope(own)}, own, optimizer, *tokenizer, {}, {.step = 1});
  EXPECT_EQ(read_text(checkpoint_ / "config.json"), "{}\n");
  EXPECT_THAT(saved_names(),
              UnorderedElementsAre("recur.weight (2, 3)", "layers.0.c_attn.weight (3, 4)",
                                   "layers.1.c_attn.weight (4)"));
  load_parameters(checkpoint_, NamedModel{Scope(back)}, back);
  EXPECT_EQ(back.values().to_vector<float>(), own.values().to_vector<float>());
}

TEST(HuggingFaceNames, ABiasOfZerosIsKnownByItsRule) {
  const TinyGpt gpt({});
  const auto rules = gpt.model->huggingface();
  const Tensor zeros = Tensor::from<float>({2}, {0, 0}), others = Tensor::from<float>({2}, {0, 1});
  EXPECT_TRUE(is_zero_bias(rules, {"blocks.3.attention.qkv.bias", zeros}));
  EXPECT_FALSE(is_zero_bias(rules, {"blocks.3.attention.qkv.bias", others}));
  EXPECT_FALSE(is_zero_bias(rules, {"blocks.3.attention.qkv.weight", zeros}));
  EXPECT_FALSE(is_zero_bias(rules, {"adapter.bias", zeros}));
  EXPECT_FALSE(is_zero_bias({}, {"blocks.3.attention.qkv.bias", zeros}));
}

}  // namespace
}  // namespace folio
