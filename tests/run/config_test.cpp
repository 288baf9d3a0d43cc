#include "folio/run/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

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
  const Config config = parse(
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
  EXPECT_EQ(config.model.width, 96);
  EXPECT_EQ(config.model.heads, 3);
  EXPECT_EQ(config.model.norm, Norm::post);
  EXPECT_TRUE(config.model.bias);
  EXPECT_EQ(config.data.text, "my text.txt");
  EXPECT_EQ(config.optimizer.beta1, 0.5);
  EXPECT_EQ(config.optimizer.beta2, 0.0);
  EXPECT_EQ(config.train.sample_prompt, "a\n: b");
  EXPECT_THAT(config.train.sample_at, ElementsAre(3, 1));
  EXPECT_EQ(config.model.layers, Config{}.model.layers);
}

TEST(Config, AliasesOfScalarsWork) {
  const Config config = parse("train: {steps: &n 300, checkpoint_every: *n}");
  EXPECT_EQ(config.train.checkpoint_every, 300);
}

// A value other than the default for every key.
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
  // No key is missing above: one line each.
  const std::string yaml = to_yaml(Config{});
  size_t keys = 0;
  for (size_t at = yaml.find("\n  "); at != yaml.npos; at = yaml.find("\n  ", at + 1)) ++keys;
  EXPECT_EQ(keys, other_values.size());
}

TEST(Config, OverridesWinAndTheLastOneWins) {
  const Config config =
      parse("model: {width: 64}", {"model.width=32", "model.width=16", "data.text=a=b"});
  EXPECT_EQ(config.model.width, 16);
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
    config.model.dropout = fraction(random);
    config.optimizer.eps = fraction(random) * 1e-9 + 1e-20;
    config.optimizer.beta1 = fraction(random);
    config.schedule.lr = fraction(random) + 1e-3;
    config.schedule.final_lr = fraction(random) * 1e5;
    config.train.sample_at.assign(random() % 5, static_cast<int64_t>(random() % 4'000'000'000));
    const std::string yaml = to_yaml(config);
    const Config again = parse(yaml);
    ASSERT_EQ(again.data.text, config.data.text) << yaml;
    ASSERT_EQ(again.train.sample_prompt, config.train.sample_prompt) << yaml;
    EXPECT_EQ(again.train.seed, config.train.seed);
    EXPECT_EQ(again.model.dropout, config.model.dropout);
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
