// train.init_from.
#include "folio/run/initial_weights.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "folio/io/safetensors.h"
#include "folio/run/checkpoint.h"
#include "folio/run/loaded_run.h"
#include "support/run_fixture.h"

namespace folio {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

class InitialWeightsTest : public RunTest {
 protected:
  InitialWeightsTest() { train_into("first", {.overrides = keep_}); }

  std::string init_from(const fs::path& from) const { return "train.init_from=" + from.string(); }

  /// The weights of a new run's model after load_initial_weights(), as bytes; with other overrides
  /// of another model.
  std::string weights_from(const fs::path& from, const std::vector<std::string>& overrides = {}) {
    const auto tokenizer = load_tokenizer(path("first/checkpoints/step_20"));
    ParameterStore store;
    const auto model =
        make_model(tiny_config(text_, overrides), Scope(store), tokenizer->vocabulary());
    store.initialize(1);
    load_initial_weights(from, *model, store);
    return bytes_of(store);
  }
  static std::string bytes_of(const ParameterStore& store) {
    return {static_cast<const char*>(store.values().raw()),
            static_cast<size_t>(store.values().bytes())};
  }

  /// The checkpoint's weights as others save them.
  void save_as(const fs::path& directory,
               const std::function<void(std::vector<NamedTensor>&)>& change) {
    fs::create_directory(directory);
    SafetensorsFile file = read_safetensors(path("first/checkpoints/step_20/model.safetensors"));
    change(file.tensors);
    write_safetensors(directory / "model.safetensors", file.tensors, {});
  }
};

TEST_F(InitialWeightsTest, OfARunAreThoseOfItsBestCheckpoint) {
  EXPECT_EQ(find_initial_weights(path("first")), path("first/checkpoints/best"));
  EXPECT_EQ(find_initial_weights(path("first/checkpoints/step_10")),
            path("first/checkpoints/step_10"));
  EXPECT_EQ(weights_from(path("first/checkpoints/step_10")),
            bytes_of(load_run(path("first"), "10")->parameters));
  fs::remove_all(path("first/checkpoints/best"));
  EXPECT_EQ(find_initial_weights(path("first")), path("first/checkpoints/step_20"));
}

TEST_F(InitialWeightsTest, ARunBeginsWithThem) {
  const std::string from = init_from(path("first/checkpoints/step_20"));
  const std::string said = train_into(
      "second",
      {.overrides = {from, "train.steps=1", "train.checkpoint_every=1", "optimizer.weight_decay=0",
                     "optimizer.lr=1e-30", "schedule.final_lr=1e-30", "schedule.warmup=0"}});
  EXPECT_THAT(said,
              HasSubstr("init    the weights of " + path("first/checkpoints/step_20").string()));
  EXPECT_EQ(bytes_of(load_run(path("second"), "last")->parameters),
            bytes_of(load_run(path("first"), "20")->parameters));
  // Its own seed, step and moments.
  EXPECT_EQ(load_run(path("second"), "last")->progress.step, 1);
}

TEST_F(InitialWeightsTest, AContinuedRunLooksForThemNoMore) {
  std::vector<std::string> overrides = keep_;
  overrides.push_back(init_from(path("first")));
  train_into("whole", {.overrides = overrides});
  train_into("parts", {.overrides = overrides, .stop_at = 10});
  fs::remove_all(path("first"));
  train_into("parts", {.resume = true});
  EXPECT_EQ(read_text(path("parts/checkpoints/step_20/model.safetensors")),
            read_text(path("whole/checkpoints/step_20/model.safetensors")));
}

TEST_F(InitialWeightsTest, TheTokenizerComesWithThem) {
  write_file(path("other"),
             "the king is dead, no more\n the king is dead, no more\n"
             "the king is dead, no more\n the king is dead, no more\n"
             "the king is dead, no more\n the king is dead, no more\n");
  const std::string from = init_from(path("first"));
  const auto read = [&](const Config& config) {
    return make_task(config)->open(initial_tokenizer(config));
  };
  const auto tokenizer = read(tiny_config(path("other"), {from, "data.validation_fraction=0.2"}));
  EXPECT_EQ(tokenizer->hash(), load_tokenizer(path("first/checkpoints/best"))->hash());
  write_file(path("other"), "Zebra");
  EXPECT_THAT(error_of([&] { read(tiny_config(path("other"), {from})); }),
              HasSubstr("'Z' (U+005A) at byte 0"));
  EXPECT_THAT(
      error_of([&] {
        read(tiny_config(text_, {from, "data.tokenizer=bpe"}));
      }),
      StartsWith("data.tokenizer: it is bpe, but the tokenizer of train.init_from is char"));
}

TEST_F(InitialWeightsTest, AreReadAsHuggingFaceSavesThem) {
  const std::string wanted = weights_from(path("first/checkpoints/step_20"));
  save_as(path("short"), [](std::vector<NamedTensor>& tensors) {  // GPT2Model
    for (NamedTensor& entry : tensors) entry.name.erase(0, std::string("transformer.").size());
  });
  EXPECT_EQ(weights_from(path("short")), wanted);
  EXPECT_EQ(initial_tokenizer(tiny_config(text_, {init_from(path("short"))})), nullptr);
  save_as(path("old"), [](std::vector<NamedTensor>& tensors) {
    tensors.push_back({"transformer.h.0.attn.bias", Tensor({1, 1, 12, 12}, DType::f32)});
    tensors.push_back({"transformer.h.0.attn.masked_bias", Tensor({1}, DType::f32)});
    for (size_t i = 0; i < tensors.size(); ++i) {
      if (tensors[i].name != "transformer.wte.weight") continue;
      tensors.push_back({"lm_head.weight", tensors[i].tensor});
      break;
    }
  });
  EXPECT_EQ(weights_from(path("old")), wanted);
}

TEST_F(InitialWeightsTest, AShorterContextTakesTheFirstPositions) {
  const fs::path from = path("first/checkpoints/step_20");
  ParameterStore store;
  const auto model = make_model(tiny_config(text_, {"model.context=5"}), Scope(store),
                                load_tokenizer(from)->vocabulary());
  store.initialize(1);
  load_initial_weights(from, *model, store);
  const auto whole = load_run(path("first"), "20");
  const auto positions = [](const ParameterStore& parameters) {
    for (const Parameter& parameter : parameters.parameters()) {
      if (parameter.name == "position_embedding.weight") return parameter.master.to_vector<float>();
    }
    return std::vector<float>();
  };
  std::vector<float> first = positions(whole->parameters);
  first.resize(5 * 16);
  EXPECT_EQ(positions(store), first);
  EXPECT_THAT(error_of([&] { weights_from(from, {"model.context=13"}); }),
              HasSubstr("position_embedding.weight is (12, 16) in the file but (13, 16)"));
}

TEST_F(InitialWeightsTest, OfAnotherModelAreRefused) {
  const fs::path from = path("first");
  for (const char* other :
       {"model.layers=1", "model.layers=3", "model.width=32", "model.tied=false"}) {
    EXPECT_THAT(error_of([&] { weights_from(from, {other}); }),
                AllOf(HasSubstr("in the file"), HasSubstr("train.init_from needs a model with")))
        << other;
  }
  EXPECT_THAT(error_of([&] { find_initial_weights(path("none")); }),
              AllOf(StartsWith("train.init_from: "), HasSubstr("does not exist")));
  EXPECT_THAT(error_of([&] { find_initial_weights(directory_.path()); }),
              HasSubstr("is no run with a checkpoint and has no weights"));
  std::string damaged = read_text(path("first/checkpoints/best/model.safetensors"));
  damaged.back() ^= 1;
  write_file(path("first/checkpoints/best/model.safetensors"), damaged);
  EXPECT_THAT(error_of([&] { weights_from(from); }), HasSubstr("damaged"));
}

}  // namespace
}  // namespace folio
