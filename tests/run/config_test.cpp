#include "folio/run/config.h"

#include <fmt/core.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <filesystem>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "folio/models/gpt.h"
#include "support/temporary.h"

namespace folio {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::IsEmpty;

Config parse(const std::string& yaml, const std::vector<std::string>& overrides = {}) {
  return parse_config(yaml, "x.yaml", overrides);
}

TEST(Config, EmptyTextsAreAllDefaults) {
  for (const char* yaml : {"", "# a comment\n", "---\n", "{}", "model:\n", "train: {}\n\n"}) {
    EXPECT_THAT(differing_keys(parse(yaml), Config{}), IsEmpty()) << yaml;
  }
}

TEST(Config, ReadsBothStylesInAnyOrder) {
  Config config = parse(
      "schedule: {name: constant, warmup: 0}\n"
      "model:\n"
      "  width: 96\n"
      "  heads: 3\n"
      "  norm: post\n"
      "  bias: true\n"
      "train: {sample_at: [3, 1], steps: 20, sample_prompt: \"a\\n: b\"}\n"
      "data:\n"
      "  text: my text.txt\n"
      "optimizer:\n"
      "  betas:\n"
      "    - .5\n"
      "    - 0\n"
      "  lr: 3e-3\n");
  EXPECT_EQ(config.schedule.kind, ScheduleKind::constant);
  EXPECT_EQ(config.schedule.warmup, 0);
  EXPECT_EQ(config.schedule.steps, 20);  // train.steps
  EXPECT_EQ(config.schedule.lr, 3e-3);   // optimizer.lr
  const GptConfig& model = config.model.as<GptConfig>();
  EXPECT_EQ(model.width, 96);
  EXPECT_EQ(model.heads, 3);
  EXPECT_EQ(model.norm, Norm::post);
  EXPECT_TRUE(model.bias);
  EXPECT_EQ(config.data.text, "my text.txt");
  EXPECT_EQ(config.optimizer.beta1, 0.5);
  EXPECT_EQ(config.optimizer.beta2, 0.0);
  EXPECT_EQ(config.train.sample_prompt, "a\n: b");
  EXPECT_THAT(config.train.sample_at, ElementsAre(3, 1));
  EXPECT_EQ(model.layers, GptConfig{}.layers);
}

TEST(Config, AliasesOfScalarsWork) {
  const Config config = parse("train: {steps: &n 300, checkpoint_every: *n}");
  EXPECT_EQ(config.train.checkpoint_every, 300);
}

// A value other than the default for every key, but for those that choose what keys there are.
const std::vector<std::pair<std::string, std::string>> other_values = {
    {"data.tokenizer", "bpe"},
    {"data.vocabulary", "7"},
    {"data.text", "sonnets"},
    {"data.unknown_character", "replace"},
    {"data.validation_fraction", "0"},
    {"data.sampling", "shuffled"},
    {"model.layers", "2"},
    {"model.heads", "8"},
    {"model.width", "64"},
    {"model.context", "32"},
    {"model.dropout", "0.2"},
    {"model.bias", "true"},
    {"model.norm", "post"},
    {"model.positions", "sinusoidal"},
    {"model.activation", "gelu_tanh"},
    {"model.tied", "false"},
    {"train.steps", "100"},
    {"train.batch", "8"},
    {"train.accumulate", "4"},
    {"train.seed", "18446744073709551615"},
    {"train.init_from", "runs/first"},
    {"train.device", "cpu"},
    {"train.precision", "f32"},
    {"train.threads", "2"},
    {"train.reduce", "ordered"},
    {"train.bucket_mb", "1.5"},
    {"train.overlap", "false"},
    {"train.rank_timeout", "0"},
    {"train.on_non_finite", "skip"},
    {"train.max_skips", "0"},
    {"train.spike_guard", "6"},
    {"train.spike_window", "50"},
    {"train.steps_in_flight", "1"},
    {"train.label_smoothing", "0.1"},
    {"train.recompute", "mlp"},
    {"train.log_every", "0"},
    {"train.eval_every", "0"},
    {"train.eval_batches", "0"},
    {"train.checkpoint_every", "0"},
    {"train.keep_last", "0"},
    {"train.sample_at", "[]"},
    {"train.sample_prompt", "ROMEO"},
    {"train.sample_tokens", "5"},
    {"train.sample_temperature", "0"},
    {"train.tensorboard", "true"},
    {"optimizer.name", "sgd"},
    {"optimizer.lr", "0.5"},
    {"optimizer.betas", "[0.9, 0.95]"},
    {"optimizer.groups",
     "[{parameters: head.weight, lr_scale: 0.5, weight_decay: 0.2}, {parameters: \"*.bias\", "
     "lr_scale: 1, weight_decay: 0}]"},
    {"optimizer.eps", "1e-6"},
    {"optimizer.weight_decay", "0"},
    {"optimizer.shard", "true"},
    {"optimizer.clip", "0"},
    {"schedule.name", "inverse_square_root"},
    {"schedule.warmup", "7"},
    {"schedule.final_lr", "0"},
};

TEST(Config, EveryKeyCanBeSetWrittenAndCompared) {
  for (const auto& [key, value] : other_values) {
    const Config config = parse("", {key + "=" + value});
    EXPECT_THAT(differing_keys(config, Config{}), ElementsAre(key));
    EXPECT_THAT(differing_keys(parse(to_yaml(config)), config), IsEmpty()) << key;
  }
  // No key is missing above: one line each, and model.family and task.name.
  const std::string yaml = to_yaml(Config{});
  size_t keys = 0;
  for (size_t at = yaml.find("\n  "); at != yaml.npos; at = yaml.find("\n  ", at + 1)) ++keys;
  EXPECT_EQ(keys, other_values.size() + 2);
}

TEST(Config, EveryFamilyAndTaskCanBeSetAndWritten) {
  const auto check = [](const std::string& key, std::string_view name) {
    const std::string section = key.substr(0, key.find('.') + 1);
    const Config config = parse("", {fmt::format("{}={}", key, name)});
    for (const std::string& differing : differing_keys(config, Config{})) {
      EXPECT_THAT(differing, testing::StartsWith(section)) << name;
    }
    EXPECT_THAT(differing_keys(parse(to_yaml(config)), config), IsEmpty()) << name;
    EXPECT_THAT(to_yaml(config), testing::HasSubstr(fmt::format(": {} ", name)));
  };
  for (const ModelEntry& family : families()) {
    check("model.family", family.name);
    EXPECT_EQ(parse("", {fmt::format("model.family={}", family.name)}).model.family.name(),
              family.name);
  }
  for (const TaskEntry& task : tasks()) {
    check("task.name", task.name);
    EXPECT_EQ(parse("", {fmt::format("task.name={}", task.name)}).task.kind.name(), task.name);
  }
  EXPECT_EQ(Config{}.model.family.name(), "gpt");
  EXPECT_EQ(Config{}.task.kind.name(), "next_token");
}

TEST(Config, TheFamilyMayBeNamedBeforeOrAfterItsKeys) {
  const std::vector<std::pair<std::string, std::vector<std::string>>> cases = {
      {"", {"model.family=gpt", "model.width=64", "model.heads=2", "task.name=next_token"}},
      {"", {"task.name=next_token", "model.width=64", "model.heads=2", "model.family=gpt"}},
      {"model: {width: 64, heads: 2, family: gpt}", {"task.name=next_token"}},
      {"model: {family: gpt, width: 64, heads: 2}\ntask: {name: next_token}", {}},
      {"task: {name: next_token}\nmodel: {width: 64}", {"model.heads=2", "model.family=gpt"}},
      {"model: {width: 64, heads: 2}", {}},
  };
  for (const auto& [yaml, overrides] : cases) {
    Config config = parse(yaml, overrides);
    EXPECT_EQ(config.model.as<GptConfig>().width, 64) << yaml;
    EXPECT_EQ(config.model.as<GptConfig>().heads, 2) << yaml;
    EXPECT_THAT(differing_keys(config, Config{}), ElementsAre("model.heads", "model.width"));
  }
}

TEST(Config, IsWrittenSectionBySectionInOrder) {
  const std::string yaml = to_yaml(Config{});
  size_t before = 0;
  for (const char* key : {"\ndata:\n", "\nmodel:\n  family: gpt ", "\n  layers:", "\ntask:\n",
                          "\n  name: next_token ", "\ntrain:\n", "\n  recompute: none ",
                          "\noptimizer:\n", "\nschedule:\n"}) {
    const size_t place = yaml.find(key, before);
    ASSERT_NE(place, yaml.npos) << key;
    before = place;
  }
}

TEST(Config, CopiesAreIndependent) {
  Config first;
  first.model.as<GptConfig>().width = 96;
  Config second = first;
  second.model.as<GptConfig>().width = 32;
  EXPECT_EQ(first.model.as<GptConfig>().width, 96);
  EXPECT_EQ(first.model.context(), GptConfig{}.context);
}

TEST(Config, DifferencesSayWhatTheyMean) {
  const Config a = parse("", {"train.keep_last=1", "model.width=64", "train.steps=7",
                              "train.recompute=mlp", "train.steps_in_flight=2"});
  std::vector<std::string> seen;
  for (const KeyDifference& difference : differences(a, Config{})) {
    seen.push_back(fmt::format("{} {} {}{}{}", difference.key, difference.a, difference.b,
                               difference.may_change ? " may change" : "",
                               difference.compared ? " compared" : ""));
  }
  EXPECT_THAT(seen, testing::UnorderedElementsAre(
                        "model.width 64 128 compared", "train.steps 7 2000 may change compared",
                        "train.keep_last 1 3 may change", "train.steps_in_flight 2 4 may change",
                        "train.recompute mlp none may change"));
}

TEST(Config, OverridesWinAndTheLastOneWins) {
  Config config =
      parse("model: {width: 64}", {"model.width=32", "model.width=16", "data.text=a=b"});
  EXPECT_EQ(config.model.as<GptConfig>().width, 16);
  EXPECT_EQ(config.data.text, "a=b");
  EXPECT_THAT(parse("", {"train.sample_prompt=\"\\n\""}).train.sample_prompt, "\n");
  EXPECT_THAT(parse("", {"train.sample_prompt=\"\""}).train.sample_prompt, "");
}

TEST(Config, SamplesBeyondTheLastStepAreFine) {
  EXPECT_EQ(parse("", {"train.steps=100"}).train.sample_at, Config{}.train.sample_at);
}

TEST(Config, YamlRoundTripIsExact) {
  std::mt19937_64 random(5);
  const std::vector<std::string> pieces = {
      "\n", "\t",   "\r",   "\"",     "'",      "\\",     "#",      ": ",         " ",
      "a",  "-",    "[",    "{",      "%",      "&",      "*",      "!",          "|",
      ">",  "\x01", "\x7f", "\u0085", "\u00e9", "\u2028", "\ufeff", "\U0001F600", "null",
      "~",  "true", "1",    "@",      "`",      "\\n"};
  const auto text = [&] {
    std::string result;
    for (uint64_t i = random() % 6 + 1; i > 0; --i) result += pieces[random() % pieces.size()];
    return result;
  };
  std::uniform_real_distribution<double> fraction(0.0, 1.0);
  for (int i = 0; i < 1000; ++i) {
    Config config;
    config.data.text = text();
    config.train.sample_prompt = text();
    config.train.seed = random();
    config.model.as<GptConfig>().dropout = fraction(random);
    config.optimizer.eps = fraction(random) * 1e-9 + 1e-20;
    config.optimizer.beta1 = fraction(random);
    config.schedule.lr = fraction(random) + 1e-3;
    config.schedule.final_lr = fraction(random) * 1e5;
    config.train.sample_at.assign(random() % 5, static_cast<int64_t>(random() % 4'000'000'000));
    const std::string yaml = to_yaml(config);
    Config again = parse(yaml);
    ASSERT_EQ(again.data.text, config.data.text) << yaml;
    ASSERT_EQ(again.train.sample_prompt, config.train.sample_prompt) << yaml;
    EXPECT_EQ(again.train.seed, config.train.seed);
    EXPECT_EQ(again.model.as<GptConfig>().dropout, config.model.as<GptConfig>().dropout);
    EXPECT_EQ(again.optimizer.eps, config.optimizer.eps);
    EXPECT_EQ(again.optimizer.beta1, config.optimizer.beta1);
    EXPECT_EQ(again.schedule.lr, config.schedule.lr);
    EXPECT_EQ(again.schedule.final_lr, config.schedule.final_lr);
    EXPECT_EQ(again.train.sample_at, config.train.sample_at);
    EXPECT_EQ(to_yaml(again), yaml);
  }
}

TEST(Configs, EachOneLoads) {
  for (const auto& file : fs::directory_iterator(fs::path(FOLIO_SOURCE_DIR) / "configs")) {
    if (file.path().extension() != ".yaml") continue;
    EXPECT_NO_THROW(load_config(file.path())) << file.path();
  }
}

TEST(Configs, NanoGptsRecipesAreItsOwn) {
  const fs::path configs = fs::path(FOLIO_SOURCE_DIR) / "configs";
  const Config cpu = load_config(configs / "nanogpt_cpu.yaml");
  EXPECT_THAT(differing_keys(cpu, Config{}), IsEmpty());  // the defaults are this recipe
  const Config baby = load_config(configs / "baby_gpt.yaml");
  EXPECT_THAT(differing_keys(baby, cpu),
              ElementsAre("model.layers", "model.heads", "model.width", "model.context",
                          "model.dropout", "train.steps", "train.batch", "train.sample_at"));
}

}  // namespace
}  // namespace folio
