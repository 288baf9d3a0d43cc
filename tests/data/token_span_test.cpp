#include "folio/data/token_span.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include "support/temporary.h"

namespace folio {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

constexpr size_t most = std::numeric_limits<size_t>::max();

template <class Token>
class TokenSpanTest : public testing::Test {
 protected:
  const std::vector<Token> storage_ = {3, 1, 4, 1, 60'000};
  const TokenSpan tokens_ = std::span<const Token>(storage_);
};
using Widths = testing::Types<uint16_t, int32_t>;
TYPED_TEST_SUITE(TokenSpanTest, Widths);

TYPED_TEST(TokenSpanTest, ShowsTheTokens) {
  EXPECT_EQ(this->tokens_.size(), 5u);
  EXPECT_FALSE(this->tokens_.empty());
  EXPECT_EQ(this->tokens_[0], 3);
  EXPECT_EQ(this->tokens_[4], 60'000);  // above what a signed number of 16 bits can be
  EXPECT_THAT(this->tokens_.to_vector(), ElementsAre(3, 1, 4, 1, 60'000));
}

TYPED_TEST(TokenSpanTest, PartsAreSpansToo) {
  const TokenSpan& tokens = this->tokens_;
  EXPECT_THAT(tokens.first(2).to_vector(), ElementsAre(3, 1));
  EXPECT_THAT(tokens.subspan(1, 3).to_vector(), ElementsAre(1, 4, 1));
  EXPECT_THAT(tokens.subspan(2).to_vector(), ElementsAre(4, 1, 60'000));
  EXPECT_THAT(tokens.subspan(1).subspan(1, 3).subspan(1).to_vector(), ElementsAre(1, 60'000));
  EXPECT_EQ(tokens.subspan(3)[1], 60'000);
  EXPECT_TRUE(tokens.first(0).empty());
  EXPECT_TRUE(tokens.subspan(5).empty());
  EXPECT_TRUE(tokens.subspan(5, 0).to_vector().empty());
}

TYPED_TEST(TokenSpanTest, CopyWritesNoMoreThanItShould) {
  std::vector<int32_t> to(4, -7);
  this->tokens_.copy(3, 2, to.data() + 1);
  EXPECT_THAT(to, ElementsAre(-7, 1, 60'000, -7));
  this->tokens_.copy(5, 0, to.data());
  EXPECT_THAT(to, ElementsAre(-7, 1, 60'000, -7));
}

TYPED_TEST(TokenSpanTest, WhatIsNotThereIsRefused) {
  const TokenSpan& tokens = this->tokens_;
  int32_t to = -7;
  struct Range {
    size_t begin, count;
  };
  // The last ones would come out small if begin and count were added, or multiplied by a width.
  for (const Range& range :
       {Range{6, 0}, Range{6, 1}, Range{5, 1}, Range{0, 6}, Range{2, 4}, Range{most, 0},
        Range{1, most}, Range{most, most}, Range{most - 1, 4}, Range{most / 4 + 1, 1},
        Range{0, most / 2 + 2}, Range{0, most / 4 + 2}}) {
    const std::string complaint = "tokens: " + std::to_string(range.count) + " from token " +
                                  std::to_string(range.begin) + " on were asked for; there are 5";
    EXPECT_EQ(error_of([&] { tokens.subspan(range.begin, range.count); }), complaint);
    EXPECT_EQ(error_of([&] { tokens.copy(range.begin, range.count, &to); }), complaint);
  }
  EXPECT_THAT(error_of([&] { tokens.first(6); }), HasSubstr("6 from token 0 on"));
  EXPECT_THAT(error_of([&] { tokens[5]; }), HasSubstr("1 from token 5 on"));
  EXPECT_THAT(error_of([&] { tokens[most]; }), StartsWith("tokens: 1 from token "));
  EXPECT_THAT(error_of([&] { tokens.subspan(6); }), HasSubstr("from token 6 on"));
  EXPECT_EQ(to, -7);
}

TYPED_TEST(TokenSpanTest, APartEndsWhereItEnds) {
  const TokenSpan part = this->tokens_.subspan(1, 3);
  EXPECT_THAT(error_of([&] { part[3]; }),
              StartsWith("tokens: 1 from token 3 on were asked for; there are 3"));
  EXPECT_THAT(error_of([&] { part.subspan(1, 3); }), HasSubstr("there are 3"));
}

TYPED_TEST(TokenSpanTest, TokensThatDoNotExistAreRefusedWhereChecked) {
  EXPECT_EQ(this->tokens_.checked(60'001).to_vector(), this->tokens_.to_vector());
  const TokenSpan checked = this->tokens_.checked(60'000);
  EXPECT_EQ(checked.size(), 5u);
  EXPECT_EQ(checked[2], 4);
  EXPECT_THAT(checked.first(4).to_vector(), ElementsAre(3, 1, 4, 1));
  const std::string error = error_of([&] { checked.to_vector(); });
  EXPECT_THAT(
      error,
      StartsWith("tokens: one is 60000, but they should be 0 to 59999: tokens.bin is damaged"));
  EXPECT_THAT(error, HasSubstr("damaged"));
  EXPECT_THAT(error_of([&] { checked[4]; }), HasSubstr("is 60000"));
  EXPECT_THAT(error_of([&] { checked.subspan(3).to_vector(); }), HasSubstr("is 60000"));
}

TEST(TokenSpan, NegativeTokensAreRefusedWhereChecked) {
  const std::vector<int32_t> storage = {0, -1};
  const TokenSpan tokens(storage);
  EXPECT_EQ(tokens[1], -1);
  EXPECT_THAT(error_of([&] { tokens.checked(10)[1]; }),
              HasSubstr("one is -1, but they should be 0 to 9"));
}

TEST(TokenSpan, CanBeEmpty) {
  for (const TokenSpan& tokens :
       {TokenSpan(), TokenSpan(std::vector<int32_t>()), TokenSpan(std::span<const uint16_t>())}) {
    EXPECT_TRUE(tokens.empty());
    EXPECT_EQ(tokens.size(), 0u);
    EXPECT_TRUE(tokens.to_vector().empty());
    EXPECT_TRUE(tokens.first(0).subspan(0).empty());
    EXPECT_THAT(error_of([&] { tokens[0]; }),
                StartsWith("tokens: 1 from token 0 on were asked for; there are 0"));
    EXPECT_THAT(error_of([&] { tokens.subspan(0, most); }), HasSubstr("there are 0"));
  }
}

}  // namespace
}  // namespace folio
