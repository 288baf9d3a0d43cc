#include "folio/data/corpus.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "data/learned_bpe.h"
#include "support/temporary.h"

namespace folio {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

// Sets environment variables (nullptr: unsets) and puts the old ones back.
class Environment {
 public:
  void set(const std::string& name, const char* value) {
    if (const char* old = ::getenv(name.c_str())) {
      before_.emplace(name, old);
    } else {
      before_.emplace(name, std::nullopt);
    }
    change(name, value);
  }
  ~Environment() {
    for (const auto& [name, value] : before_) change(name, value ? value->c_str() : nullptr);
  }

 private:
  static void change(const std::string& name, const char* value) {
    value == nullptr ? ::unsetenv(name.c_str()) : ::setenv(name.c_str(), value, 1);
  }
  std::map<std::string, std::optional<std::string>> before_;
};

// A cache, a data directory and a working directory, all empty.
class FindText : public testing::Test {
 protected:
  void SetUp() override {
    for (const fs::path& folder : {cache(), data(), work()}) fs::create_directory(folder);
    environment_.set("FOLIO_CACHE_DIR", cache().c_str());
    environment_.set("FOLIO_DATA_DIR", data().c_str());
    before_ = fs::current_path();
    fs::current_path(work());
  }
  void TearDown() override { fs::current_path(before_); }

  fs::path cache() const { return directory_.path() / "cache"; }
  fs::path data() const { return directory_.path() / "data"; }
  fs::path work() const { return directory_.path() / "work"; }

  TemporaryDirectory directory_;
  Environment environment_;
  fs::path before_;
};

// Files of the right size with nothing in them.
fs::path tiny_in(const fs::path& folder, uint64_t bytes = 1'115'394) {
  write_file(folder / "tinyshakespeare.txt", "");
  fs::resize_file(folder / "tinyshakespeare.txt", bytes);
  return folder / "tinyshakespeare.txt";
}
fs::path plays_in(const fs::path& folder) {
  write_file(folder / "plays.txt", "");
  fs::resize_file(folder / "plays.txt", 4'792'726);
  return folder / "plays.txt";
}

TEST_F(FindText, ShakespeareIsTinyShakespeareOrThePlays) {
  const fs::path plays_in_data = plays_in(data());
  EXPECT_EQ(find_text("shakespeare", "key"), plays_in_data);
  const fs::path plays_in_cache = plays_in(cache());
  EXPECT_EQ(find_text("shakespeare", "key"), plays_in_cache);
  const fs::path tiny_in_data = tiny_in(data());
  EXPECT_EQ(find_text("shakespeare", "key"), tiny_in_data);
  const fs::path tiny_in_cache = tiny_in(cache());
  EXPECT_EQ(find_text("shakespeare", "key"), tiny_in_cache);
}

TEST_F(FindText, ShakespeareCutShortIsPassedOver) {
  tiny_in(cache(), 1'115'393);
  EXPECT_THAT(error_of([] { find_text("shakespeare", "key"); }),
              HasSubstr("tinyshakespeare.txt (damaged: 1115393 bytes, not 1115394), "));
  const fs::path whole = tiny_in(data());
  EXPECT_EQ(find_text("shakespeare", "key"), whole);
}

TEST_F(FindText, ShakespeareIsNeverAFileOfThatName) {
  write_file(work() / "shakespeare", "#!/bin/sh");
  const fs::path plays = plays_in(cache());
  EXPECT_EQ(find_text("shakespeare", "key"), plays);
}

// scripts/get_data chooses before the program does: both must choose alike.
TEST_F(FindText, TheScriptKnowsTheSameSizes) {
  const std::string script = read_text(fs::path(FOLIO_SOURCE_DIR) / "scripts/get_data");
  EXPECT_THAT(script,
              AllOf(HasSubstr("\ntiny_bytes=1115394\n"), HasSubstr("\nplays_bytes=4792726\n")));
}

TEST_F(FindText, APathIsTakenAsItIs) {
  const fs::path path = directory_.path() / "mine";
  write_file(path, "x");
  EXPECT_EQ(find_text(path.string(), "key"), path);
  EXPECT_EQ(find_text("../mine", "key"), "../mine");
}

TEST_F(FindText, AFileWinsOverAName) {
  write_file(data() / "sonnets.txt", "x");
  EXPECT_EQ(find_text("sonnets", "key"), data() / "sonnets.txt");
  EXPECT_EQ(find_text("sonnets.txt", "key"), data() / "sonnets.txt");
  fs::create_directory(work() / "sonnets");  // a directory is no text, unless folio prepare made it
  EXPECT_EQ(find_text("sonnets", "key"), data() / "sonnets.txt");
  write_file(work() / "sonnets" / prepared_file, "{}");
  EXPECT_EQ(find_text("sonnets", "key"), "sonnets");
  EXPECT_EQ(find_text("./sonnets", "key"), "./sonnets");
  write_file(work() / "sonnets.txt", "x");
  EXPECT_EQ(find_text("sonnets.txt", "key"), "sonnets.txt");
}

TEST_F(FindText, TheCacheHasThreePossiblePlaces) {
  environment_.set("FOLIO_CACHE_DIR", "");
  environment_.set("XDG_CACHE_HOME", cache().c_str());
  environment_.set("HOME", work().c_str());
  fs::create_directories(cache() / "folio");
  fs::create_directories(work() / ".cache/folio");
  write_file(cache() / "folio/plays.txt", "x");
  write_file(work() / ".cache/folio/plays.txt", "x");
  EXPECT_EQ(find_text("plays", "key"), cache() / "folio/plays.txt");
  environment_.set("XDG_CACHE_HOME", nullptr);
  EXPECT_EQ(find_text("plays", "key"), work() / ".cache/folio/plays.txt");
}

TEST_F(FindText, AnErrorListsEveryPlaceTried) {
  fs::create_directory(cache() / "plays.txt");
  EXPECT_EQ(error_of([] { find_text("shakespeare", "key"); }),
            "key: no text named shakespeare was found; tried " +
                (cache() / "tinyshakespeare.txt").string() + " (not there), " +
                (data() / "tinyshakespeare.txt").string() + " (not there), " +
                (cache() / "plays.txt").string() +
                " (a directory that folio prepare has not made), " +
                (data() / "plays.txt").string() +
                " (not there); run scripts/get_data, which finds or makes a text, or give the "
                "path of a text of your own");
}

TEST_F(FindText, AnErrorNamesWhatIsNotSet) {
  for (const char* name : {"FOLIO_CACHE_DIR", "XDG_CACHE_HOME", "HOME", "FOLIO_DATA_DIR"}) {
    environment_.set(name, nullptr);
  }
  EXPECT_THAT(error_of([] { find_text("sonnets", "key"); }),
              AllOf(HasSubstr("tried sonnets (not there), the cache (none of $FOLIO_CACHE_DIR, "
                              "$XDG_CACHE_HOME, $HOME is set), $FOLIO_DATA_DIR (not set)"),
                    HasSubstr("scripts/get_data")));
}

TEST_F(FindText, AWrongPathIsAnError) {
  EXPECT_THAT(error_of([] { find_text("./absent.txt", "key"); }),
              StartsWith("key: there is no text file ./absent.txt (not there); run "));
  EXPECT_THAT(error_of([] { find_text("../work", "key"); }),
              StartsWith("key: there is no text file ../work (a directory that folio prepare "
                         "has not made); run "));
  EXPECT_THAT(error_of([] { find_text("", "key"); }), StartsWith("key: no text is given; run "));
}

Corpus corpus_of(std::string_view text, double validation_fraction, int64_t context) {
  const auto tokenizer = CharTokenizer::build("abcdefghij", UnknownCharacter::error, "t");
  return make_corpus("text.txt", text, *tokenizer, validation_fraction, context);
}

TEST(Corpus, IsCutAsNanoGptDoes) {
  const Corpus corpus = corpus_of("abcdefghijabcdefghijabc", 0.1, 2);
  EXPECT_EQ(corpus.path, "text.txt");
  EXPECT_EQ(corpus.bytes, 23);
  EXPECT_EQ(corpus.train_tokens, 20);  // floor(20.7)
  EXPECT_EQ(corpus.train().size(), 20u);
  EXPECT_THAT(corpus.validation().to_vector(), testing::ElementsAre(0, 1, 2));
}

TEST(Corpus, TheWholeTextCanTrain) {
  const Corpus corpus = corpus_of("abc", 0.0, 2);
  EXPECT_EQ(corpus.train_tokens, 3);
  EXPECT_TRUE(corpus.validation().empty());
}

TEST(Corpus, TooShortATextIsRefused) {
  EXPECT_EQ(error_of([] { corpus_of("abcdefghij", 0.5, 5); }),
            "text.txt: 5 of the text's 10 tokens are for training, but a context of 5 needs 6; "
            "use a longer text, a smaller context or a smaller validation fraction (it is 0.5)");
  EXPECT_EQ(error_of([] { corpus_of("abcdefghij", 0.1, 5); }),
            "text.txt: 1 of the text's 10 tokens are for validation, but a context of 5 needs 6; "
            "use a longer text, a smaller context or a larger validation fraction "
            "(it is 0.1; 0 trains without validation)");
  EXPECT_EQ(corpus_of("abcdefghij", 0.5, 4).train_tokens, 5);
}

TEST(Corpus, BadTextAndSettingsAreRefused) {
  EXPECT_THAT(error_of([] { corpus_of("", 0.1, 2); }), StartsWith("text.txt: the text is empty"));
  EXPECT_THAT(error_of([] { corpus_of("ab\xff", 0.1, 2); }),
              StartsWith("text.txt: byte 2 (counted from 0) is 0xff"));
  EXPECT_THAT(error_of([] { corpus_of("abz", 0.1, 2); }),
              StartsWith("text.txt: the character 'z' (U+007A) at byte 2"));
  EXPECT_THAT(error_of([] { corpus_of("abc", 1.0, 2); }),
              HasSubstr("the validation fraction is 1;"));
  EXPECT_THAT(error_of([] { corpus_of("abc", 0.1, 0); }), HasSubstr("the context is 0;"));
}

TEST(Corpus, ShowsTokensThatLieElsewhere) {
  auto storage = std::make_shared<const std::vector<uint16_t>>(std::vector<uint16_t>{5, 6, 7, 8});
  const std::weak_ptr<const void> watched = storage;
  const TokenSpan tokens = std::span(*storage);
  {
    const Corpus corpus = split_corpus("text.txt", 99, tokens, std::move(storage), 0.5, 1);
    EXPECT_EQ(corpus.bytes, 99);
    EXPECT_THAT(corpus.train().to_vector(), testing::ElementsAre(5, 6));
    EXPECT_THAT(corpus.validation().to_vector(), testing::ElementsAre(7, 8));
    EXPECT_FALSE(watched.expired());
  }
  EXPECT_TRUE(watched.expired());
}

TEST(Corpus, KeepsTheTokensItIsGiven) {
  Corpus copy;
  {
    const Corpus corpus = split_corpus("text.txt", 3, std::vector<int32_t>{5, 6, 7}, 0.0, 2);
    copy = corpus;
  }
  EXPECT_THAT(copy.tokens.to_vector(), testing::ElementsAre(5, 6, 7));
}

TEST(TextOf, JoinsWhatIsReadInParts) {
  // 3 tokens a character, so that a part, of 65536 tokens, ends inside one.
  const auto tokenizer = learned_bpe("", 257);
  std::string text;
  for (char32_t c = 0; c < 50'000; ++c) text += c % 2 == 0 ? "\u20ac" : "\u4eba";
  const std::vector<int32_t> tokens = tokenizer->encode(text, "t");
  ASSERT_EQ(tokens.size(), 150'000u);
  EXPECT_EQ(text_of(*tokenizer, tokens), text);
  EXPECT_EQ(text_bytes(*tokenizer, tokens), 150'000);
  const std::vector<uint16_t> narrow(tokens.begin(), tokens.end());
  EXPECT_EQ(text_of(*tokenizer, std::span(narrow)), text);
  EXPECT_EQ(text_bytes(*tokenizer, std::span(narrow)), 150'000);
  EXPECT_EQ(text_of(*tokenizer, TokenSpan(tokens).subspan(65'535, 3)), text.substr(65'535, 3));
}

TEST(TextOf, BytesAreThoseOfTheText) {
  const auto chars = CharTokenizer::build("ab\u00e9\u20ac\U0001F600", UnknownCharacter::error, "t");
  for (const char* text : {"", "a", "ab\u00e9", "\U0001F600\u20ac\u20aca"}) {
    const std::vector<int32_t> tokens = chars->encode(text, "t");
    EXPECT_EQ(text_of(*chars, tokens), text);
    EXPECT_EQ(text_bytes(*chars, tokens), std::ssize(std::string_view(text)));
  }
  const auto replacing = CharTokenizer::build("a", UnknownCharacter::replace, "t");
  EXPECT_EQ(text_bytes(*replacing, replacing->encode("ab", "t")), 4);  // of a and U+FFFD
}

TEST(TextOf, EndsOfTextsAreNotCounted) {
  const auto tokenizer = learned_bpe("low low", 1000);
  std::vector<int32_t> tokens = tokenizer->encode("low lo", "t");
  EXPECT_EQ(text_bytes(*tokenizer, tokens), 6);
  tokens.insert(tokens.begin() + 1, *tokenizer->end_of_text());
  tokens.push_back(*tokenizer->end_of_text());
  EXPECT_EQ(text_bytes(*tokenizer, tokens), 6);
  EXPECT_EQ(text_of(*tokenizer, tokens), "low<|endoftext|> lo<|endoftext|>");
  EXPECT_EQ(text_bytes(*tokenizer, std::vector{*tokenizer->end_of_text()}), 0);
  // The name in a text is text.
  EXPECT_EQ(text_bytes(*tokenizer, tokenizer->encode("<|endoftext|>", "t")), 13);
}

}  // namespace
}  // namespace folio
