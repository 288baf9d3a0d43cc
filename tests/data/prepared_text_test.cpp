// Texts tokenized beforehand, and runs that learn from them.
#include "folio/data/prepared_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <filesystem>
#include <iterator>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "folio/data/bpe_tokenizer.h"
#include "folio/data/corpus.h"
#include "folio/data/load_text.h"
#include "folio/inspect/explain.h"
#include "folio/inspect/novelty.h"
#include "folio/io/json.h"
#include "folio/report/report.h"
#include "folio/run/initial_weights.h"
#include "folio/run/loaded_run.h"
#include "folio/run/text_identity.h"
#include "folio/train/evaluate.h"
#include "support/run_fixture.h"

namespace folio {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

class PreparedTextTest : public RunTest {
 protected:
  /// Prepares without a word.
  PreparedFacts prepare(PrepareOptions options) {
    options.out = path(options.out.string());
    testing::internal::CaptureStdout();
    try {
      const PreparedFacts facts = prepare_text(options);
      said_ = testing::internal::GetCapturedStdout();
      return facts;
    } catch (...) {
      testing::internal::GetCapturedStdout();
      throw;
    }
  }

  std::string said_;
};

TEST_F(PreparedTextTest, HoldsTheTokensOfTheTextAndItsTokenizer) {
  const PreparedFacts facts = prepare({.texts = {text_}, .vocabulary = 300, .out = "prepared"});
  EXPECT_EQ(facts.tokenizer, "bpe");
  EXPECT_EQ(facts.vocabulary, 300);
  EXPECT_EQ(facts.bytes, std::ssize(tiny_text()));
  EXPECT_EQ(fs::file_size(path("prepared/tokens.bin")), 2u * static_cast<size_t>(facts.tokens));
  const PreparedText text = open_prepared(path("prepared"));
  EXPECT_EQ(text.facts.stamp, facts.stamp);
  EXPECT_EQ(text.tokens.to_vector(), text.tokenizer->encode(tiny_text(), "t"));
  EXPECT_EQ(text_of(*text.tokenizer, text.tokens), tiny_text());
  verify_prepared(path("prepared"));
  EXPECT_EQ(files_in(path("prepared")).size(), 3u);
}

TEST_F(PreparedTextTest, TextsStandInTheirOrderWithAnEndBetween) {
  write_file(path("a"), "aaa");
  write_file(path("b"), "bb");
  prepare({.texts = {path("b"), path("a"), path("b")}, .out = "bpe"});
  const PreparedText bpe = open_prepared(path("bpe"));
  EXPECT_EQ(text_of(*bpe.tokenizer, bpe.tokens), "bb<|endoftext|>aaa<|endoftext|>bb");
  EXPECT_EQ(text_bytes(*bpe.tokenizer, bpe.tokens), 7);
  prepare({.texts = {path("b"), path("a")}, .tokenizer = "char", .out = "char"});
  const PreparedText characters = open_prepared(path("char"));
  EXPECT_EQ(characters.tokens.to_vector(), (std::vector<int32_t>{1, 1, 0, 0, 0}));
}

TEST_F(PreparedTextTest, PiecesOfALongTextAreItsTokens) {
  // Longer than a piece, with non-ASCII characters; the last is cut by no line break.
  std::string text;
  while (text.size() < (size_t{20} << 20)) {
    text += "Caf\u00e9 \u20ac 12  it's\r\n\n \t" + std::to_string(text.size() % 997) + "\n";
  }
  text += std::string(300, 'x');
  write_file(path("long"), text);
  prepare({.texts = {path("long")}, .vocabulary = 400, .out = "prepared"});
  const PreparedText prepared = open_prepared(path("prepared"));
  EXPECT_EQ(prepared.tokens.to_vector(), prepared.tokenizer->encode(text, "t"));
}

TEST_F(PreparedTextTest, LargeVocabulariesTake32Bits) {
  write_file(path("text"), "<1><69999><2>");
  write_file(path("tokenizer"), R"({"kind": "synthetic", "vocabulary": 70000})");
  prepare({.texts = {path("text")}, .tokenizer = path("tokenizer"), .out = "prepared"});
  EXPECT_EQ(fs::file_size(path("prepared/tokens.bin")), 12u);
  EXPECT_EQ(open_prepared(path("prepared")).tokens.to_vector(),
            (std::vector<int32_t>{1, 69999, 2}));
}

TEST_F(PreparedTextTest, ATokenizerOfAnotherTextIsTaken) {
  prepare({.texts = {text_}, .vocabulary = 300, .out = "first"});
  write_file(path("other"), "thou art \u00fcber\n");
  prepare({.texts = {path("other")}, .tokenizer = path("first/tokenizer.json"), .out = "second"});
  EXPECT_EQ(open_prepared(path("second")).tokenizer->hash(),
            open_prepared(path("first")).tokenizer->hash());
}

TEST_F(PreparedTextTest, SaysThatNoMoreTokensWereFound) {
  write_file(path("short"), "ab ab cd");
  EXPECT_EQ(prepare({.texts = {path("short")}, .vocabulary = 500, .out = "prepared"}).vocabulary,
            258);  // 256 bytes, "ab", the end
  EXPECT_THAT(said_, HasSubstr("note    258 tokens, not 500"));
}

TEST_F(PreparedTextTest, BadInputIsRefusedAndLeavesNothing) {
  write_file(path("empty"), "");
  write_file(path("latin"), "caf\xe9");
  const auto complaint = [&](PrepareOptions options) {
    options.out = "out";
    return error_of([&] { prepare(options); });
  };
  EXPECT_THAT(complaint({}), HasSubstr("no text is given"));
  EXPECT_THAT(complaint({.texts = {path("none")}}),
              AllOf(HasSubstr("none"), HasSubstr("cannot open")));
  EXPECT_THAT(complaint({.texts = {directory_.path()}}), HasSubstr("is not a regular file"));
  EXPECT_THAT(complaint({.texts = {path("empty")}}), HasSubstr("the text is empty"));
  EXPECT_THAT(complaint({.texts = {path("latin")}}), HasSubstr("latin: the text ends at byte 4"));
  EXPECT_THAT(complaint({.texts = {text_}, .tokenizer = "word"}),
              StartsWith("--tokenizer: word is neither char nor bpe nor a file"));
  EXPECT_THAT(complaint({.texts = {text_}, .tokenizer = text_}), HasSubstr("not valid JSON"));
  EXPECT_THAT(complaint({.texts = {text_}, .vocabulary = 256}), HasSubstr("at least 257"));
  EXPECT_FALSE(fs::exists(path("out")));
  write_file(path("characters"),
             CharTokenizer::build("abc", UnknownCharacter::error, "")->to_json());
  EXPECT_THAT(complaint({.texts = {text_}, .tokenizer = path("characters")}),
              HasSubstr("is not among the 3 that the tokenizer knows"));
  for (const auto& entry : fs::directory_iterator(directory_.path())) {
    EXPECT_EQ(entry.path().string().find("out"), std::string::npos) << entry.path();
  }
  fs::create_directory(path("out"));  // may be there, if it is empty
  write_file(path("out/mine"), "x");
  EXPECT_THAT(complaint({.texts = {text_}}), HasSubstr("exists and is not an empty directory"));
  EXPECT_EQ(files_in(path("out")).size(), 1u);
}

TEST_F(PreparedTextTest, DamageIsFound) {
  prepare({.texts = {text_}, .vocabulary = 300, .out = "prepared"});
  const auto files = files_in(path("prepared"));
  const auto complaint_after = [&](const std::string& name, const std::string& content) {
    write_file(path("prepared") / name, content);
    const std::string said = error_of([&] {
      open_prepared(path("prepared"));
      verify_prepared(path("prepared"));
    });
    write_file(path("prepared") / name, files.at(name));
    return said;
  };
  std::string other = files.at("tokens.bin");
  other[10] ^= 1;
  EXPECT_THAT(complaint_after("tokens.bin", other), HasSubstr("its checksum is not that"));
  other.pop_back();
  EXPECT_THAT(complaint_after("tokens.bin", other), HasSubstr("is it truncated?"));
  EXPECT_THAT(complaint_after("prepared.json", "{}"), HasSubstr("is missing; prepare the text"));
  EXPECT_THAT(complaint_after("prepared.json", "{"), HasSubstr("is damaged"));
  const std::string sealed = files.at("prepared.json");
  EXPECT_THAT(complaint_after("prepared.json", sealed.substr(0, sealed.size() / 2)),
              HasSubstr("is damaged: its checksum does not fit"));
  auto facts = Json::parse(sealed);
  facts.erase("checksum");
  for (const auto& [key, value] : std::multimap<std::string, Json>{{"tokens", -1},
                                                                   {"tokens", INT64_MAX},
                                                                   {"vocabulary", 0},
                                                                   {"tokens_checksum", "x"},
                                                                   {"vocabulary", 299},
                                                                   {"tokenizer", "char"},
                                                                   {"bytes", "many"}}) {
    auto changed = facts;
    changed[key] = value;
    EXPECT_THAT(complaint_after("prepared.json", sealed_json(changed)),
                HasSubstr("prepare the text again"))
        << changed;
  }
  EXPECT_THAT(complaint_after("tokenizer.json", "{}"), HasSubstr("tokenizer.json"));
  auto merges = nlohmann::json::parse(files.at("tokenizer.json"));  // as many tokens, other merges
  merges["model"]["merges"].erase(0);
  EXPECT_THAT(complaint_after("tokenizer.json", merges.dump()),
              HasSubstr("it is not the one that made the tokens"));
}

TEST_F(PreparedTextTest, DirectoriesOf2026AreRead) {
  prepare({.texts = {text_}, .vocabulary = 300, .out = "prepared"});
  const auto files = files_in(path("prepared"));
  auto facts = Json::parse(files.at("prepared.json"));
  facts["checksum"] = facts["tokens_checksum"];
  facts.erase("tokens_checksum");
  write_file(path("prepared/prepared.json"), facts.dump(2) + "\n");
  verify_prepared(path("prepared"));
  std::string tokens = files.at("tokens.bin");
  tokens[10] ^= 1;
  write_file(path("prepared/tokens.bin"), tokens);
  EXPECT_THAT(error_of([&] { verify_prepared(path("prepared")); }),
              HasSubstr("its checksum is not that"));
}

TEST_F(PreparedTextTest, ATokenBeyondTheVocabularyEndsTheRun) {
  prepare({.texts = {text_}, .vocabulary = 300, .out = "prepared"});
  std::string tokens = files_in(path("prepared")).at("tokens.bin");
  for (size_t i = 1; i < tokens.size(); i += 40) tokens[i] = '\xff';
  write_file(path("prepared/tokens.bin"), tokens);
  EXPECT_THAT(error_of([&] {
                train_into("run", {.overrides = {"data.tokenizer=bpe",
                                                 "data.text=" + path("prepared").string()}});
              }),
              AllOf(StartsWith("tokens: one is 6"), HasSubstr("they should be 0 to 299")));
}

TEST_F(PreparedTextTest, ARunFromItHasTheBitsOfARunFromTheText) {
  prepare({.texts = {text_}, .vocabulary = 300, .out = "prepared"});
  const std::vector<std::string> bpe = {"data.tokenizer=bpe", "data.vocabulary=300",
                                        "train.checkpoint_every=10"};
  std::vector<std::string> prepared = bpe;
  prepared.push_back("data.text=" + path("prepared").string());
  const std::string said = train_into("from_text", {.overrides = bpe});
  EXPECT_THAT(said, AllOf(HasSubstr("tokens, 300 different"), HasSubstr("bits a byte")));
  train_into("from_prepared", {.overrides = prepared});
  for (const char* file : {"model.safetensors", "tokenizer.json"}) {
    EXPECT_EQ(read_text(path("from_text/checkpoints/step_20") / file),
              read_text(path("from_prepared/checkpoints/step_20") / file))
        << file;
  }
  EXPECT_EQ(metrics_of(path("from_text")), metrics_of(path("from_prepared")));
  // Continued, the tokenizer is the checkpoint's.
  train_into("parts", {.overrides = prepared, .stop_at = 10});
  train_into("parts", {.resume = true});
  EXPECT_EQ(read_text(path("parts/checkpoints/step_20/model.safetensors")),
            read_text(path("from_prepared/checkpoints/step_20/model.safetensors")));
  // Prepared with another tokenizer it is another text.
  fs::remove_all(path("prepared"));
  prepare({.texts = {text_}, .vocabulary = 299, .out = "prepared"});
  EXPECT_THAT(
      error_of([&] { find_run_text(path("parts"), load_config(path("parts/config.yaml"))); }),
      HasSubstr("is no longer the text of this run"));
}

TEST_F(PreparedTextTest, TheConfigNamesItsTokenizer) {
  prepare({.texts = {text_}, .tokenizer = "char", .out = "prepared"});
  const std::string text = "data.text=" + path("prepared").string();
  EXPECT_EQ(tokenize_text(tiny_config(text_, {text}).data, 12, "text").tokenizer->kind(), "char");
  EXPECT_THAT(error_of([&] {
                tokenize_text(tiny_config(text_, {text, "data.tokenizer=bpe"}).data, 12, "text");
              }),
              AllOf(HasSubstr("but the config names bpe"),
                    HasSubstr("was prepared with the tokenizer char")));
  EXPECT_THAT(error_of([&] { find_text(directory_.path().string(), "text"); }),
              HasSubstr("a directory that folio prepare has not made"));
}

TEST_F(PreparedTextTest, WhateverReadsARunReadsItsTokens) {
  prepare({.texts = {text_}, .vocabulary = 300, .out = "prepared"});
  train_into("run", {.overrides = {"data.tokenizer=bpe", "train.checkpoint_every=20",
                                   "train.sample_at=[20]", "train.sample_tokens=20",
                                   "data.text=" + path("prepared").string()}});
  const auto loaded = load_run(path("run"), "last");
  const std::string learned = read_training_text(path("run"), loaded->config, *loaded->tokenizer);
  EXPECT_GT(learned.size(), 3000u);
  EXPECT_TRUE(tiny_text().starts_with(learned));
  // A token that is half a character is shown as its bytes, and the page is UTF-8.
  const Explanation explanation =
      explain(as_language_model(*loaded->model, "test"), *loaded->tokenizer, "the \u00e9", 1.0);
  ASSERT_GE(explanation.tokens.size(), 2u);
  EXPECT_EQ(explanation.tokens[explanation.tokens.size() - 2], "<C3>");
  EXPECT_EQ(explanation.tokens.back(), "<A9>");
  EXPECT_THAT(read_text(write_report({.runs = {path("run")}, .out = {}, .references = {}})),
              HasSubstr("bits a byte"));
}

TEST_F(PreparedTextTest, BitsPerByteAreTheLossOverTheBytesThatArePredicted) {
  const auto tokenizer = BpeTokenizer::learn({{"ab", 2}}, 258);
  const std::vector<int32_t> tokens = tokenizer->encode("xababc", "t");  // x ab ab c
  ASSERT_EQ(tokens.size(), 4u);
  const int64_t bytes = text_bytes(*tokenizer, TokenSpan(tokens).subspan(1));
  const Evaluation evaluation{.loss = 2.0, .targets = 3};
  EXPECT_DOUBLE_EQ(*evaluation.bits_per_byte(bytes), 2.0 * 3 / std::log(2.0) / 5);
  EXPECT_EQ(evaluation.bits_per_byte(std::nullopt), std::nullopt);  // of what is no text
}

}  // namespace
}  // namespace folio
