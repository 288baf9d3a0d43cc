#include "folio/data/bpe_huggingface.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <deque>
#include <functional>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "data/learned_bpe.h"
#include "support/temporary.h"

namespace folio {
namespace {

using Json = nlohmann::json;
using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

constexpr std::string_view sample = "low lower lowest \u00e9\u20ac\n<|endoftext|> wow";

std::unique_ptr<BpeTokenizer> low_tokenizer() {
  return learned_bpe("low low lower lower newer\n\nwider \u00e9\u00e9\u00e9", 1000);
}

Json low_file() { return Json::parse(low_tokenizer()->to_json()); }

std::unique_ptr<Tokenizer> read(const Json& file) {
  return tokenizer_from_json(file.dump(), "tokenizer.json");
}

/// The tokens of `sample`, each as its bytes.
std::vector<std::string> pieces_of(const Tokenizer& tokenizer) {
  std::vector<std::string> pieces;
  for (const int32_t token : tokenizer.encode(sample, "t")) {
    pieces.push_back(tokenizer.decode({&token, 1}));
  }
  return pieces;
}

TEST(BpeHuggingFace, ReadsWhatItWrites) {
  const auto tokenizer = low_tokenizer();
  const auto again = tokenizer_from_json(tokenizer->to_json(), "t");
  EXPECT_EQ(again->kind(), "bpe");
  EXPECT_EQ(again->to_json(), tokenizer->to_json());
  EXPECT_EQ(again->hash(), tokenizer->hash());
  EXPECT_EQ(again->vocabulary(), tokenizer->vocabulary());
  EXPECT_EQ(again->end_of_text(), tokenizer->end_of_text());
  EXPECT_EQ(again->encode(sample, "t"), tokenizer->encode(sample, "t"));
  EXPECT_NE(tokenizer->hash(), learned_bpe("low low", 1000)->hash());
}

TEST(BpeHuggingFace, WritesWhatTransformersExpects) {
  const Json file = low_file();
  EXPECT_EQ(file["version"], "1.0");
  EXPECT_EQ(file["pre_tokenizer"], (Json{{"type", "ByteLevel"},
                                         {"add_prefix_space", false},
                                         {"trim_offsets", true},
                                         {"use_regex", true}}));
  EXPECT_EQ(file["decoder"]["type"], "ByteLevel");
  EXPECT_EQ(file["model"]["type"], "BPE");
  EXPECT_EQ(file["model"]["vocab"]["\u0120"], 220);
  const size_t end = file["model"]["vocab"].size() - 1;
  EXPECT_EQ(file["model"]["vocab"]["<|endoftext|>"], end);
  ASSERT_EQ(file["added_tokens"].size(), 1u);
  EXPECT_EQ(file["added_tokens"][0]["id"], end);
  EXPECT_EQ(file["added_tokens"][0]["content"], "<|endoftext|>");
  EXPECT_EQ(file["added_tokens"][0]["special"], true);
}

TEST(BpeHuggingFace, MergesAreTextOrPairs) {
  Json file = low_file();
  for (Json& merge : file["model"]["merges"]) {
    const auto text = merge.get<std::string>();
    const size_t space = text.find(' ');
    merge = {text.substr(0, space), text.substr(space + 1)};
  }
  EXPECT_EQ(read(file)->hash(), low_tokenizer()->hash());
}

TEST(BpeHuggingFace, WhatIsUsualMayBeAbsentOrSaid) {
  Json file = low_file();
  for (const char* key :
       {"version", "truncation", "padding", "normalizer", "post_processor", "decoder"}) {
    file.erase(key);
  }
  file["pre_tokenizer"] = {{"type", "ByteLevel"}, {"add_prefix_space", false}};
  Json& model = file["model"];
  for (const char* key : {"type", "dropout", "unk_token", "fuse_unk", "byte_fallback"}) {
    model.erase(key);
  }
  model["continuing_subword_prefix"] = "";  // so in GPT-2's own
  model["end_of_word_suffix"] = "";
  model["ignore_merges"] = false;
  EXPECT_EQ(read(file)->hash(), low_tokenizer()->hash());
}

TEST(BpeHuggingFace, SpecialTokensMayLieBeyondTheVocabulary) {
  const auto tokenizer = low_tokenizer();
  Json file = low_file();
  file["model"]["vocab"].erase("<|endoftext|>");
  EXPECT_EQ(read(file)->hash(), tokenizer->hash());
  file["added_tokens"].push_back({{"id", tokenizer->vocabulary()}, {"content", "<|pad|>"}});
  const auto more = read(file);
  EXPECT_EQ(more->vocabulary(), tokenizer->vocabulary() + 1);
  EXPECT_EQ(more->end_of_text(), tokenizer->end_of_text());
  EXPECT_EQ(more->decode(std::vector{static_cast<int32_t>(tokenizer->vocabulary())}), "<|pad|>");
  EXPECT_EQ(read(Json::parse(more->to_json()))->hash(), more->hash());
}

TEST(BpeHuggingFace, ASpecialTokenMayComeFirst) {
  Json file = low_file();
  for (Json& number : file["model"]["vocab"]) number = number.get<int>() + 1;
  file["model"]["vocab"]["<|endoftext|>"] = 0;
  file["added_tokens"][0]["id"] = 0;
  const auto tokenizer = read(file);
  EXPECT_EQ(tokenizer->end_of_text(), 0);
  EXPECT_EQ(pieces_of(*tokenizer), pieces_of(*low_tokenizer()));
  EXPECT_THAT(tokenizer->encode("!\"", "t"), ElementsAre(1, 2));
  EXPECT_THAT(tokenizer->encode(sample, "t"), Not(Contains(0)));
  EXPECT_EQ(read(Json::parse(tokenizer->to_json()))->hash(), tokenizer->hash());
}

TEST(BpeHuggingFace, SpecialTokensMayBeAbsent) {
  const std::vector<std::string> pieces = pieces_of(*low_tokenizer());
  Json file = low_file();
  file["added_tokens"] = Json::array();
  file["model"]["vocab"].erase("<|endoftext|>");
  for (int round = 0; round < 3; ++round) {
    const auto tokenizer = read(file);
    EXPECT_EQ(tokenizer->end_of_text(), std::nullopt);
    EXPECT_EQ(tokenizer->vocabulary(), low_tokenizer()->vocabulary() - 1);
    EXPECT_EQ(pieces_of(*tokenizer), pieces);
    EXPECT_EQ(read(Json::parse(tokenizer->to_json()))->hash(), tokenizer->hash());
    file["added_tokens"] = nullptr;
    if (round == 1) file.erase("added_tokens");
  }
  // Others than the one between documents.
  file["added_tokens"] = {{{"id", low_tokenizer()->vocabulary() - 1}, {"content", "<s>"}}};
  EXPECT_EQ(read(file)->end_of_text(), std::nullopt);
}

// The same numbers in another order.
TEST(BpeHuggingFace, BytesMayHaveAnyNumbers) {
  Json file = low_file();
  const int64_t count = std::ssize(file["model"]["vocab"]);
  for (Json& number : file["model"]["vocab"]) number = count - 1 - number.get<int64_t>();
  file["added_tokens"][0]["id"] = 0;
  const auto tokenizer = read(file);
  EXPECT_EQ(pieces_of(*tokenizer), pieces_of(*low_tokenizer()));
  EXPECT_THAT(tokenizer->encode("!", "t"), ElementsAre(count - 1));
  EXPECT_EQ(read(Json::parse(tokenizer->to_json()))->hash(), tokenizer->hash());
}

/// The bytes, the tokens that the merges make, and no special one.
Json file_with(const std::vector<std::string>& merges) {
  Json file = Json::parse(learned_bpe("", 257)->to_json());
  file["added_tokens"] = Json::array();
  Json& vocabulary = file["model"]["vocab"];
  vocabulary.erase("<|endoftext|>");
  for (std::string merge : merges) {
    std::erase(merge, ' ');
    const size_t next = vocabulary.size();
    vocabulary.emplace(merge, next);  // unless it is there
  }
  file["model"]["merges"] = merges;
  return file;
}

TEST(BpeHuggingFace, ATokenMayBeReachedByTwoWays) {
  const auto tokenizer = read(file_with({"a b", "b c", "ab c", "a bc"}));
  EXPECT_EQ(tokenizer->vocabulary(), 259);
  EXPECT_THAT(tokenizer->encode("abc", "t"), ElementsAre(258));
  const auto other = read(file_with({"b c", "a b", "ab c", "a bc"}));
  EXPECT_THAT(other->encode("abc", "t"), ElementsAre(258));
  EXPECT_EQ(read(Json::parse(tokenizer->to_json()))->hash(), tokenizer->hash());
  EXPECT_NE(tokenizer->hash(), other->hash());
}

// As in Hugging Face's and in OpenAI's program, which make a dictionary of the list.
TEST(BpeHuggingFace, OfAMergeThatIsThereTwiceTheLaterCounts) {
  const auto tokenizer = read(file_with({"a b", "b c", "a b"}));
  EXPECT_EQ(tokenizer->decode(std::vector{tokenizer->encode("abc", "t")[0]}), "a");
}

/// `value` in place of what a file of to_json() has at `path` (RFC 6901); "(absent)" takes it out.
struct Damage {
  const char* path;
  Json value;
  std::string complaint;
};

const Json absent = "(absent)";

std::string complaint_about(const std::string& path, const Json& value) {
  Json file = low_file();
  const Json::json_pointer place(path);
  if (value == absent) {
    file.at(place.parent_pointer()).erase(place.back());
  } else {
    file[place] = value;
  }
  return error_of([&] { read(file); });
}

TEST(BpeHuggingFace, FilesThatWorkOtherwiseAreRefused) {
  const std::vector<Damage> cases = {
      {"/model/type", "WordPiece", R"("type" is "WordPiece", not "BPE")"},
      {"/model/byte_fallback", true, R"("byte_fallback" is true, not false)"},
      {"/model/continuing_subword_prefix", "##", R"("continuing_subword_prefix" is "##", not "")"},
      {"/model/end_of_word_suffix", "</w>", R"("end_of_word_suffix" is "</w>", not "")"},
      {"/model/ignore_merges", true, R"("ignore_merges" is true, not false)"},
      {"/model/dropout", 0.1, R"("dropout" is 0.1, not null)"},
      {"/added_tokens/0/special", false, R"("special" is false, not true)"},
      {"/normalizer", {{"type", "NFC"}}, R"("normalizer" is {"type":"NFC"}, not null)"},
      {"/normalizer", std::string(1000, 'x'), R"("normalizer" is "xxx)"},
      {"/pre_tokenizer/add_prefix_space", true, R"("add_prefix_space" is true, not false)"},
      {"/pre_tokenizer/use_regex", false, R"("use_regex" is false, not true)"},
      {"/pre_tokenizer/type", "Whitespace", R"("type" is "Whitespace", not "ByteLevel")"},
      {"/pre_tokenizer/type", "Sequence", R"("type" is "Sequence", not "ByteLevel")"},
      {"/pre_tokenizer", nullptr, R"("pre_tokenizer" is missing)"},
      {"/pre_tokenizer", absent, R"("pre_tokenizer" is missing)"},
      {"/pre_tokenizer", Json::array(), R"("pre_tokenizer" is missing)"},
  };
  for (const auto& [path, value, complaint] : cases) {
    const std::string error = complaint_about(path, value);
    EXPECT_THAT(error, AllOf(StartsWith("tokenizer.json: "), HasSubstr(complaint),
                             HasSubstr("byte-level BPE")))
        << path;
    EXPECT_LT(error.size(), 300u) << path;
  }
}

TEST(BpeHuggingFace, DamagedFilesAreRefused) {
  const size_t count = low_file()["model"]["vocab"].size();  // the end of a text among them
  const std::string counted = ", but there are " + std::to_string(count) + " tokens";
  const std::string not_once = "is there twice, or another is missing";
  const auto special = [](const Json& id) {
    return Json{{{"id", id}, {"content", "<|endoftext|>"}}};
  };
  const std::vector<Damage> cases = {
      {"/model", nullptr, R"("model" is missing)"},
      {"/model", 3, R"("model" is missing)"},
      {"/model/vocab", absent, R"("vocab" is missing)"},
      {"/model/vocab", Json::array({"a", "b"}), R"("vocab" is missing)"},
      {"/model/vocab", Json::object(), "but there are 1 tokens"},
      {"/model/merges", absent, R"("merges" is missing)"},
      {"/model/merges", Json::object(), R"("merges" is missing)"},
      {"/model/merges", "l o", R"("merges" is missing)"},
      {"/model/merges/0", 3, R"(an entry of "merges" is not a pair of tokens)"},
      {"/model/merges/0", nullptr, R"(an entry of "merges" is not a pair of tokens)"},
      {"/model/merges/0", "lo", R"(an entry of "merges" is not a pair of tokens)"},
      {"/model/merges/0", Json::array(), R"(an entry of "merges" is not a pair of tokens)"},
      {"/model/merges/0", {"l", "o", "w"}, R"(an entry of "merges" is not a pair of tokens)"},
      {"/model/merges/0", Json::array({"l", 1}), R"(an entry of "merges" is not a pair of tokens)"},
      {"/model/merges/0", "zz o", R"("zz" is in "merges" but no token)"},
      {"/model/merges/0", "l zz", R"("zz" is in "merges" but no token)"},
      {"/model/merges/0", "z q", R"("zq" is in "merges" but no token)"},
      {"/model/merges/0", " o", R"("" is in "merges" but no token)"},
      {"/model/merges/0", "<|endoftext|> o", R"("<|endoftext|>" is in "merges" but no token)"},
      {"/model/vocab/a", absent, "a token's number is"},  // a gap
      {"/model/vocab/a", 0, not_once},
      {"/model/vocab/a", -1, "a token's number is -1" + counted},
      {"/model/vocab/a", 1.5, "a token's number is 1.5" + counted},
      {"/model/vocab/a", "7", "a token's number is \"7\"" + counted},
      {"/model/vocab/a", nullptr, "a token's number is null" + counted},
      {"/model/vocab/a", count, "a token's number is " + std::to_string(count) + counted},
      {"/model/vocab/a", 4294967296, "a token's number is 4294967296" + counted},
      {"/model/vocab/a", UINT64_MAX, "a token's number is 18446744073709551615" + counted},
      {"/model/vocab/a", 1e30, "a token's number is 1e+30" + counted},
      {"/added_tokens", "x", R"("added_tokens" is not a list)"},
      {"/added_tokens", Json::object(), R"("added_tokens" is not a list)"},
      {"/added_tokens/0", 3, R"("content" is missing)"},
      {"/added_tokens/0/content", absent, R"("content" is missing)"},
      {"/added_tokens/0/content", 3, R"("content" is missing)"},
      {"/added_tokens/0/id", absent, R"(an added token has no "id")"},
      {"/added_tokens", special(-1), "a token's number is -1"},
      {"/added_tokens", special("0"), "a token's number is \"0\""},
      {"/added_tokens", special(UINT64_MAX), "a token's number is 18446744073709551615"},
      {"/added_tokens", special(count + 5), "a token's number is " + std::to_string(count + 5)},
      {"/added_tokens", special(0), not_once},      // the number of another token
      {"/added_tokens", special(count), not_once},  // not the number that it has among the others
  };
  for (const auto& [path, value, complaint] : cases) {
    EXPECT_THAT(complaint_about(path, value),
                AllOf(StartsWith("tokenizer.json: "), HasSubstr(complaint)))
        << path << " " << value;
  }
}

/// The file whose byte '!', number 0, is called otherwise.
std::string complaint_about_name(const std::string& name) {
  Json file = low_file();
  file["model"]["vocab"].erase("!");
  file["model"]["vocab"][name] = 0;
  return error_of([&] { read(file); });
}

TEST(BpeHuggingFace, AMissingByteIsRefused) {
  EXPECT_EQ(complaint_about_name("xyzw"), "tokenizer.json: there is no token for the byte 0x21");
}

TEST(BpeHuggingFace, NamesThatAreNotWrittenAsBytesAreRefused) {
  for (const std::string name : {"", "a b", "\u4e2d", "\u0144", "\U0001F600"}) {
    EXPECT_THAT(complaint_about_name(name), StartsWith("tokenizer.json: the token 0, \"" + name +
                                                       "\", is not written as bytes"));
  }
}

TEST(BpeHuggingFace, ComplaintsAreOneLineWhateverTheNames) {
  const auto is_control = [](unsigned char c) { return c < 0x20 || c == 0x7F; };
  for (const std::string& error :
       {complaint_about_name("a\nb"), complaint_about_name("\x1b[31m\x7f"),
        complaint_about("/model/merges/0", "a\nb c\r"), complaint_about("/normalizer", "\n\x7f")}) {
    EXPECT_THAT(error, StartsWith("tokenizer.json: "));
    EXPECT_FALSE(std::ranges::any_of(error, is_control)) << error;
  }
}

// to_json() could not say them apart.
TEST(BpeHuggingFace, SpecialTokensThatAreThereTwiceAreRefused) {
  const int64_t next = low_tokenizer()->vocabulary();
  for (const auto& [id, name] : std::vector<std::pair<int64_t, std::string>>{
           {next, "<|endoftext|>"}, {next - 1, "<|pad|>"}}) {
    Json file = low_file();
    file["model"]["vocab"].erase("<|endoftext|>");
    file["added_tokens"].push_back({{"id", id}, {"content", name}});
    EXPECT_THAT(error_of([&] { read(file); }), StartsWith("tokenizer.json: ")) << name;
  }
}

}  // namespace
}  // namespace folio
