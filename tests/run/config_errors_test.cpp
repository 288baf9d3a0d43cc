// What a config file or an override must not be.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "folio/models/gpt.h"
#include "folio/run/config.h"
#include "folio/tensor/cuda.h"
#include "folio/tensor/error.h"
#include "support/temporary.h"

namespace folio {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::EndsWith;
using testing::HasSubstr;
using testing::StartsWith;

Config parse(const std::string& yaml, const std::vector<std::string>& overrides = {}) {
  return parse_config(yaml, "x.yaml", overrides);
}

std::string error_in(const std::string& yaml, const std::vector<std::string>& overrides = {}) {
  return error_of([&] { parse(yaml, overrides); });
}

const std::string second_document =
    "a second YAML document begins here; leave out lines of --- and brackets or commas that belong "
    "to nothing";

TEST(ConfigErrors, UnknownNamesAreRefusedWithTheNameMeant) {
  EXPECT_EQ(error_in("data: {}\nmodel:\n  widht: 3"),
            "x.yaml:3:3: model.widht: unknown key; is model.width meant?");
  EXPECT_EQ(error_in("model:\n    lr: 3"),
            "x.yaml:2:5: model.lr: unknown key; is optimizer.lr meant?");
  EXPECT_EQ(
      error_in("schedule: {frobnicate: 3}"),
      "x.yaml:1:12: schedule.frobnicate: unknown key; the keys of schedule are: name, warmup, "
      "final_lr");
  EXPECT_EQ(error_in("\noptimiser:\n  lr: 3"),
            "x.yaml:2:1: optimiser: unknown section; is optimizer meant?");
  EXPECT_EQ(error_in("width: 3"), "x.yaml:1:1: width: unknown section; is model.width meant?");
  EXPECT_EQ(error_in("frobnicate: 3"),
            "x.yaml:1:1: frobnicate: unknown section; the sections are: data, model, task, train, "
            "optimizer, schedule");
}

TEST(ConfigErrors, UnknownFamiliesAndTasksAreRefusedWithTheNameMeant) {
  EXPECT_THAT(error_in("model:\n  width: 64\n  family: gptt"),
              AllOf(StartsWith("x.yaml:3:11: model.family: \"gptt\" is not one of: gpt"),
                    EndsWith("; is gpt meant?")));
  EXPECT_THAT(error_in("\ntask: {name: next_tokn}"),
              AllOf(StartsWith("x.yaml:2:14: task.name: \"next_tokn\" is not one of: next_token"),
                    EndsWith("; is next_token meant?")));
  EXPECT_THAT(error_in("model: {family: perceptron}"),
              StartsWith("x.yaml:1:17: model.family: \"perceptron\" is not one of: gpt"));
  EXPECT_THAT(error_in("", {"model.family=gtp"}),
              StartsWith("--set model.family: \"gtp\" is not one of: gpt"));
  EXPECT_THAT(error_in("", {"model.width=64", "task.name=next_tokn"}),
              StartsWith("--set task.name: \"next_tokn\" is not one of: next_token"));
  EXPECT_EQ(error_in("model: {family: [gpt]}"),
            "x.yaml:1:17: model.family: a list is not text; put the text in quotes");
  EXPECT_EQ(error_in("task: {name: }"), "x.yaml:1:14: task.name: there is no value; write text");
  EXPECT_EQ(error_in("task: {nam: next_token}"),
            "x.yaml:1:8: task.nam: unknown key; is task.name meant?");
  EXPECT_EQ(error_in("model:\n  familly: gpt"),
            "x.yaml:2:3: model.familly: unknown key; is model.family meant?");
}

// What is wrong with the keys is said of the family that was chosen, wherever that was.
TEST(ConfigErrors, KeysAreThoseOfTheFamily) {
  EXPECT_EQ(error_in("model: {widht: 3, family: gpt}"),
            "x.yaml:1:9: model.widht: unknown key; is model.width meant?");
  EXPECT_EQ(error_in("model: {widht: 3}", {"model.family=gpt"}),
            "x.yaml:1:9: model.widht: unknown key; is model.width meant?");
  EXPECT_THAT(error_in("model: {widht: 3}", {"model.family=gtp"}),
              StartsWith("--set model.family: "));
}

TEST(ConfigErrors, BadOverridesAreRefused) {
  EXPECT_THAT(error_in("", {"model.foo=3"}),
              StartsWith("--set model.foo: unknown key; the keys of model are: family, layers, "));
  EXPECT_EQ(error_in("", {"model.widht=3"}),
            "--set model.widht: unknown key; is model.width meant?");
  EXPECT_EQ(error_in("", {"width=3"}), "--set width: unknown section; is model.width meant?");
  EXPECT_THAT(error_in("", {"model=3"}), StartsWith("--set model: unknown key; "));
  EXPECT_EQ(error_in("", {"model.width"}),
            "--set model.width: there is no value; write --set section.key=value");
  EXPECT_EQ(error_in("", {"model.width="}),
            "--set model.width: there is no value; write a whole number");
  EXPECT_EQ(error_in("", {"model.width=wide"}),
            "--set model.width: \"wide\" is not a whole number");
  EXPECT_EQ(error_in("", {"train.sample_prompt=ROMEO: o"}),
            "--set train.sample_prompt: a section with keys of its own is not text; put the text "
            "in quotes");
  EXPECT_THAT(error_in("", {"train.sample_at=[1"}),
              StartsWith("--set train.sample_at: not valid YAML: "));
  EXPECT_EQ(error_in("", {"model.width=3\n---\n4"}), "--set model.width: " + second_document);
  EXPECT_THAT(error_in("", {""}), StartsWith("--set \"\": there is no value; "));
}

TEST(ConfigErrors, WrongTypesAreRefused) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"model: {width: wide}", "x.yaml:1:16: model.width: \"wide\" is not a whole number"},
      {"model: {width: 1e3}", "x.yaml:1:16: model.width: \"1e3\" is not a whole number"},
      {"model: {width: 12.0}", "x.yaml:1:16: model.width: \"12.0\" is not a whole number"},
      {"model: {width: 1_000}", "x.yaml:1:16: model.width: \"1_000\" is not a whole number"},
      {"model: {width: 0x10}", "x.yaml:1:16: model.width: \"0x10\" is not a whole number"},
      {"model: {width: -}", "x.yaml:1:16: model.width: \"-\" is not a whole number"},
      {"model: {width: '128'}",
       "x.yaml:1:16: model.width: \"128\" in quotes is text, not a whole number; leave the quotes "
       "out"},
      {"model: {width: }", "x.yaml:1:16: model.width: there is no value; write a whole number"},
      {"model: {width: [1]}", "x.yaml:1:16: model.width: a list is not a whole number"},
      {"model: {width: {a: 1}}",
       "x.yaml:1:16: model.width: a section with keys of its own is not a whole number"},
      {"model: {width: !!int 128}",
       "x.yaml:1:16: model.width: YAML tags such as \"tag:yaml.org,2002:int\" are not supported; "
       "write a whole number alone"},
      {"model: {dropout: some}", "x.yaml:1:18: model.dropout: \"some\" is not a number"},
      {"model: {dropout: 0.1x}", "x.yaml:1:18: model.dropout: \"0.1x\" is not a number"},
      {"model: {dropout: .nan}", "x.yaml:1:18: model.dropout: \".nan\" is not a number"},
      {"model: {bias: yes}", "x.yaml:1:15: model.bias: \"yes\" is neither true nor false"},
      {"data: {text: [a]}", "x.yaml:1:14: data.text: a list is not text; put the text in quotes"},
      {"data: {text: }", "x.yaml:1:14: data.text: there is no value; write text"},
      {"train: {sample_prompt: }",
       "x.yaml:1:24: train.sample_prompt: there is no value; write text, or \"\" for none"},
      {"train: {sample_at: 250}",
       "x.yaml:1:20: train.sample_at: \"250\" is not a list; write it as [0, 250]"},
      {"train: {sample_at: [0, 2.5]}",
       "x.yaml:1:20: train.sample_at: entry 2: \"2.5\" is not a whole number"},
      {"optimizer: {betas: 0.9}",
       "x.yaml:1:20: optimizer.betas: \"0.9\" is not a list; write it as [0.9, 0.99]"},
      {"optimizer: {betas: [0.9, 0.99, 0.999]}",
       "x.yaml:1:20: optimizer.betas: a list of 3 is not a pair; write it as [0.9, 0.99]"},
      {"optimizer: {betas: [a, 0.9]}",
       "x.yaml:1:20: optimizer.betas: entry 1: \"a\" is not a number"},
      {"optimizer: {groups: head}\n",
       "x.yaml:1:21: optimizer.groups: \"head\" is not a list; write [{KEY: VALUE, ...}, ...]"},
      {"optimizer: {groups: [head]}\n",
       "x.yaml:1:21: optimizer.groups: entry 1: \"head\" is not a map of keys to values"},
      {"optimizer: {groups: [{parameters: head, lr: 2}]}\n",
       "x.yaml:1:21: optimizer.groups: entry 1: unknown key lr; the keys are: parameters, "
       "lr_scale, "
       "weight_decay"},
      {"optimizer: {groups: [{lr_scale: 1}, {lr_scale: -1}]}\n",
       "x.yaml:1:21: optimizer.groups: entry 2: lr_scale: -1 is out of range; it must be at least "
       "0 "
       "and at most 1000000"},
      {"optimizer: {groups: [{lr_scale: 1, lr_scale: 1}]}\n",
       "x.yaml:1:21: optimizer.groups: entry 1: lr_scale is given twice; remove one of them"},
      {"model: {norm: pree}",
       "x.yaml:1:15: model.norm: \"pree\" is not one of: pre, post; is pre meant?"},
      {"model: {norm: none}", "x.yaml:1:15: model.norm: \"none\" is not one of: pre, post"},
      {"data: {tokenizer: word}",
       "x.yaml:1:19: data.tokenizer: \"word\" is not one of: char, bpe, synthetic"},
      {"model: 3", "x.yaml:1:8: model: found \"3\" where the keys of the section belong"},
      {"model: [a]", "x.yaml:1:8: model: found a list where the keys of the section belong"},
      {"- a",
       "x.yaml:1:1: found a list where the sections data, model, task, train, optimizer, "
       "schedule belong"},
  };
  for (const auto& [yaml, error] : cases) EXPECT_EQ(error_in(yaml), error);
}

TEST(ConfigErrors, WhatThisBuildLacksIsRefusedWithTheReason) {
  if (!cuda::built_in()) {
    EXPECT_EQ(error_in("train: {device: cuda}"),
              "x.yaml:1:17: train.device: this build has no CUDA; use device: auto or cpu");
  }
}

TEST(ConfigErrors, AVocabularyThatDoesNotHoldTheBytesIsRefused) {
  EXPECT_EQ(
      error_in("data: {vocabulary: 256}", {"data.tokenizer=bpe"}),
      "--set data.tokenizer: data.vocabulary: 256 is too few: bpe needs at least 257, for the "
      "bytes and the end of a text");
  EXPECT_EQ(parse_config("data: {vocabulary: 257, tokenizer: bpe}", "x.yaml").data.vocabulary, 257);
}

TEST(ConfigErrors, ImpossibleValuesAreRefused) {
  const std::vector<std::pair<std::string, std::vector<std::string>>> cases = {
      {"model.layers", {"0", "-1", "1001"}},
      {"model.heads", {"0", "1001"}},
      {"model.width", {"0", "100001", "9223372036854775807", "9223372036854775808", "-5"}},
      {"model.context", {"0", "100001"}},
      {"model.dropout", {"1", "-0.1", "nan", "inf", "1e999", "1e-999"}},
      {"data.validation_fraction", {"1", "-0.1", "nan"}},
      {"train.steps", {"0", "4000000001", "99999999999999999999999"}},
      {"train.batch", {"0", "100001"}},
      {"train.accumulate", {"0"}},
      {"train.seed", {"-1", "18446744073709551616"}},
      {"train.threads", {"-1", "1025"}},
      {"train.label_smoothing", {"1", "-0.1", "nan"}},
      {"train.log_every", {"-1"}},
      {"train.eval_every", {"-1"}},
      {"train.eval_batches", {"-1"}},
      {"train.checkpoint_every", {"-1"}},
      {"train.sample_at", {"[-1]", "[0, 4000000001]"}},
      {"train.sample_tokens", {"0", "1000001"}},
      {"train.sample_temperature", {"-1", "nan", "inf"}},
      {"optimizer.lr", {"0", "-1", "nan", "inf", "1e7"}},
      {"optimizer.betas", {"[1, 0.9]", "[0.9, 1]", "[-0.1, 0.9]", "[nan, 0.9]"}},
      {"optimizer.eps", {"0", "-1", "1e-40", "nan"}},
      {"optimizer.weight_decay", {"-1", "nan", "inf"}},
      {"optimizer.clip", {"-1", "nan", "inf"}},
      {"schedule.warmup", {"-1"}},
      {"schedule.final_lr", {"-1", "nan", "inf"}},
  };
  for (const auto& [key, values] : cases) {
    for (const std::string& value : values) {
      const std::string error = error_in("", {key + "=" + value});
      EXPECT_THAT(error, StartsWith("--set " + key + ": "));
      EXPECT_THAT(error, HasSubstr("is out of range; it must be "));
    }
  }
  EXPECT_EQ(error_in("model:\n  layers: 0"),
            "x.yaml:2:11: model.layers: 0 is out of range; it must be at least 1 and at most 1000");
  EXPECT_EQ(error_in("model:\n  dropout: 1.5"),
            "x.yaml:2:12: model.dropout: 1.5 is out of range; it must be at least 0 and below 1");
  EXPECT_EQ(error_in("data: {text: ''}"), "x.yaml:1:14: data.text: must not be empty");
}

TEST(ConfigErrors, FieldsThatDisagreeAreRefusedWhereTheLastWasSet) {
  const std::string heads = "choose heads that divide the width";
  EXPECT_EQ(error_in("model:\n  width: 128\n  heads: 5"),
            "x.yaml:3:10: model.heads: 5 does not divide model.width 128; " + heads);
  EXPECT_EQ(error_in("model:\n  width: 130"),
            "x.yaml:2:10: model.heads: 4 does not divide model.width 130; " + heads);
  EXPECT_EQ(error_in("", {"model.heads=5"}),
            "--set model.heads: 5 does not divide model.width 128; " + heads);
  EXPECT_EQ(error_in("model: {heads: 4}", {"model.width=130"}),
            "--set model.width: model.heads: 4 does not divide model.width 130; " + heads);
  EXPECT_EQ(error_in("train:\n  batch: 12\n  accumulate: 5"),
            "x.yaml:3:15: train.accumulate: 5 does not divide train.batch 12; choose micro-batches "
            "of equal size");
  // A run may end within its warm-up.
  EXPECT_EQ(parse("", {"train.steps=50"}).schedule.steps, 50);
}

TEST(ConfigErrors, WhatIsNoYamlIsRefused) {
  EXPECT_THAT(error_in("model:\n  width: 1\n width: 2"),
              StartsWith("x.yaml:3:2: not valid YAML: "));
  EXPECT_THAT(error_in("model: {width: 3"), StartsWith("x.yaml:1:"));
  EXPECT_THAT(error_in("model:\n  width: 128\n\theads: 4"),
              StartsWith("x.yaml:3:1: not valid YAML: illegal tab"));
  EXPECT_THAT(error_in("model: {width: *absent}"), StartsWith("x.yaml:1:16: not valid YAML: "));
  EXPECT_EQ(error_in("model:\n  width: 128\n  width: 64"),
            "x.yaml:3:3: model.width: given twice, first in line 2; remove one of them");
  EXPECT_EQ(error_in("model: {}\nmodel: {}"),
            "x.yaml:2:1: model: given twice, first in line 1; remove one of them");
  EXPECT_EQ(error_in("model: {}\n---\ntrain: {}"), "x.yaml:2:1: " + second_document);
  // Left-over punctuation, on which some YAML parsers never end.
  for (const char* yaml : {",", "]", "}", "[#\n,]", "model: {}}", "{}\n,", "]]]]", "{},,,"}) {
    EXPECT_THAT(error_in(yaml), StartsWith("x.yaml:")) << yaml;
  }
  EXPECT_EQ(error_in("{}\n,"), "x.yaml:2:1: " + second_document);
  EXPECT_EQ(error_in("[a]: 3"), "x.yaml:1:1: a list is not a key; a key is a name");
  EXPECT_EQ(error_in("model: {{a: b}: 3}"),
            "x.yaml:1:9: a section with keys of its own is not a key; a key is a name");
  EXPECT_THAT(error_in("a: &a {b: *a}"), HasSubstr("unknown section"));
  EXPECT_THAT(error_in("model: &a {width: *a}"), StartsWith("x.yaml:1:"));
  EXPECT_THAT(error_in("model: {width: 12\x04}"),
              HasSubstr("byte 17 (counted from 0) is the control character 0x04; remove it"));
  EXPECT_THAT(error_in("data: {text: \xff}"), HasSubstr("byte 13 (counted from 0) is 0xff"));
}

std::string repeated(const std::string& piece, int count) {
  std::string text;
  for (int i = 0; i < count; ++i) text += piece;
  return text;
}

TEST(ConfigErrors, HugeOrDeepTextsAreRefused) {
  EXPECT_EQ(error_in(std::string((1 << 20) + 1, '#')),
            "x.yaml: this is too long for a config: 1048577 bytes, at most 1048576; is it another "
            "kind of file?");
  for (const char* piece : {"[", "{", "- ", "? ", "[{", "{a: ", "!a ", "&a ", "*a ", "a: "}) {
    EXPECT_THAT(error_in(repeated(piece, 100'000)), StartsWith("x.yaml:")) << piece;
  }
  EXPECT_THAT(error_in(repeated("[", 10'000) + repeated("]", 10'000)),
              HasSubstr("nested too deeply"));
  EXPECT_LT(error_in("model: " + repeated("long ", 100'000)).size(), 300u);
  EXPECT_LT(error_in("? " + repeated("long ", 100'000) + "\n: 3").size(), 300u);
  EXPECT_LT(error_in("", {repeated("long ", 100'000) + "=3"}).size(), 300u);
  EXPECT_LT(error_in("model: {width: " + repeated("9", 100'000) + "}").size(), 300u);
}

TEST(ConfigErrors, FilesAreNamedInErrors) {
  const TemporaryDirectory directory;
  const std::string path = directory.path() / "my.yaml";
  EXPECT_THAT(error_of([&] { load_config(path); }), StartsWith(path + ": cannot read: "));
  EXPECT_THAT(error_of([&] { load_config(directory.path()); }), HasSubstr("Is a directory"));
  write_file(path, "model:\n  heads: 3\n");
  EXPECT_THAT(error_of([&] { load_config(path); }), StartsWith(path + ":2:10: model.heads: 3 "));
  EXPECT_EQ(load_config(path, {"model.width=96"}).model.as<GptConfig>().heads, 3);
}

TEST(ConfigErrors, SyntheticTokensNeedBothKeys) {
  EXPECT_THAT(
      error_of([] { parse_config("data: {text: synthetic}", "a.yaml"); }),
      AllOf(HasSubstr("a.yaml:1"), HasSubstr("data.tokenizer"), HasSubstr("synthetic in both")));
  EXPECT_THAT(error_of([] { parse_config("data: {tokenizer: synthetic}", "a.yaml"); }),
              HasSubstr("random tokens need synthetic in both"));
  EXPECT_EQ(parse_config("data: {text: synthetic, tokenizer: synthetic}", "a.yaml").data.vocabulary,
            1024);
}

}  // namespace
}  // namespace folio
