#include "folio/data/synthetic.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <set>
#include <vector>

#include "support/temporary.h"

namespace folio {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(SyntheticTokenizer, ReadsWhatItWrites) {
  const SyntheticTokenizer tokenizer(100);
  const std::vector<int32_t> tokens = {0, 17, 99};
  EXPECT_EQ(tokenizer.decode(tokens), "<0><17><99>");
  EXPECT_EQ(tokenizer.encode("<0><17><99>", "prompt"), tokens);
  EXPECT_THAT(tokenizer.encode("", "prompt"), ElementsAre());
  for (const char* text : {"a", "<", "<>", "<1", "<-1>", "<100>", "<1> ", "<99999999999>"}) {
    EXPECT_THAT(error_of([&] { tokenizer.encode(text, "prompt"); }),
                HasSubstr("prompt: is not a sequence of tokens"))
        << text;
  }
  EXPECT_THAT(error_of([&] { tokenizer.decode(std::vector<int32_t>{100}); }), HasSubstr("0 to 99"));
}

TEST(SyntheticTokenizer, IsMadeAgainFromJson) {
  const SyntheticTokenizer tokenizer(50304);
  const auto again = tokenizer_from_json(tokenizer.to_json(), "tokenizer.json");
  EXPECT_EQ(again->kind(), "synthetic");
  EXPECT_EQ(again->vocabulary(), 50304);
  EXPECT_EQ(again->hash(), tokenizer.hash());
  for (const char* json : {R"({"kind":"synthetic"})", R"({"kind":"synthetic","vocabulary":0})",
                           R"({"kind":"synthetic","vocabulary":"many"})"}) {
    EXPECT_THAT(error_of([&] { tokenizer_from_json(json, "tokenizer.json"); }),
                HasSubstr("vocabulary"));
  }
}

TEST(SyntheticCorpus, IsTheSameEachTimeAndSaysWhatItIs) {
  const Corpus corpus = synthetic_corpus(7, 0.25, 64), again = synthetic_corpus(7, 0.25, 64);
  const std::vector<int32_t> tokens = corpus.tokens.to_vector();
  EXPECT_EQ(tokens, again.tokens.to_vector());
  EXPECT_EQ(corpus.validation().size(), tokens.size() / 4);
  EXPECT_EQ(std::set<int32_t>(tokens.begin(), tokens.end()).size(), 7u);
  EXPECT_EQ(*std::ranges::max_element(tokens), 6);
  EXPECT_THAT(corpus.path.string(), HasSubstr("random tokens, for measuring only"));
}

}  // namespace
}  // namespace folio
