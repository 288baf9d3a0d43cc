#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "folio/data/tokenizer.h"
#include "folio/io/utf8.h"
#include "folio/tensor/error.h"

namespace folio {
namespace {

constexpr char32_t replacement_character = 0xFFFD;
constexpr int32_t unknown_token = -1;

// Maps code points to tokens: a table for the first 256, a binary search for the others.
class TokenTable {
 public:
  explicit TokenTable(const std::vector<char32_t>& characters) : characters_(characters) {
    low_.fill(unknown_token);
    for (size_t i = 0; i < characters.size() && characters[i] < low_.size(); ++i) {
      low_[characters[i]] = static_cast<int32_t>(i);
    }
  }

  int32_t operator[](char32_t code_point) const {
    if (code_point < low_.size()) return low_[code_point];
    const auto found = std::lower_bound(characters_.begin(), characters_.end(), code_point);
    if (found == characters_.end() || *found != code_point) return unknown_token;
    return static_cast<int32_t>(found - characters_.begin());
  }

 private:
  const std::vector<char32_t>& characters_;
  std::array<int32_t, 256> low_;
};

int64_t utf8_bytes(const std::vector<char32_t>& code_points, size_t count) {
  std::string text;
  for (size_t i = 0; i < count; ++i) append_utf8(text, code_points[i]);
  return static_cast<int64_t>(text.size());
}

}  // namespace

void CharacterSet::add(std::string_view text, std::string_view where) {
  for (const char32_t code_point : decode_utf8(text, where)) {
    present_[code_point / 64] |= uint64_t{1} << code_point % 64;
  }
}

std::vector<char32_t> CharacterSet::characters() const {
  std::vector<char32_t> characters;
  for (size_t word = 0; word < present_.size(); ++word) {
    for (uint64_t bits = present_[word]; bits != 0; bits &= bits - 1) {
      characters.push_back(static_cast<char32_t>(64 * word + std::countr_zero(bits)));
    }
  }
  return characters;
}

std::unique_ptr<CharTokenizer> CharTokenizer::build(std::string_view text, UnknownCharacter unknown,
                                                    std::string_view where) {
  FOLIO_CHECK(!text.empty(), where, "the text is empty; name a file with text to learn from");
  CharacterSet set;
  set.add(text, where);
  return std::make_unique<CharTokenizer>(set.characters(), unknown);
}

CharTokenizer::CharTokenizer(std::vector<char32_t> characters, UnknownCharacter unknown)
    : characters_(std::move(characters)), unknown_(unknown) {
  FOLIO_CHECK(!characters_.empty(), "char tokenizer", "there are no characters; give at least one");
  FOLIO_CHECK(std::adjacent_find(characters_.begin(), characters_.end(), std::greater_equal<>()) ==
                  characters_.end(),
              "char tokenizer", "the characters must be sorted and without repetition");
}

int64_t CharTokenizer::vocabulary() const {
  return static_cast<int64_t>(characters_.size()) + (unknown_ == UnknownCharacter::replace ? 1 : 0);
}

std::vector<int32_t> CharTokenizer::encode(std::string_view text, std::string_view where) const {
  const TokenTable table(characters_);
  const std::vector<char32_t> code_points = decode_utf8(text, where);
  std::vector<int32_t> tokens(code_points.size());
  for (size_t i = 0; i < code_points.size(); ++i) {
    int32_t token = table[code_points[i]];
    if (token == unknown_token) {
      FOLIO_CHECK(
          unknown_ == UnknownCharacter::replace, where,
          "the character {} at byte {} (counted from 0) is not among the {} that the "
          "tokenizer knows; leave it out, or use a tokenizer that replaces unknown characters",
          describe_character(code_points[i]), utf8_bytes(code_points, i), vocabulary());
      token = static_cast<int32_t>(characters_.size());
    }
    tokens[i] = token;
  }
  return tokens;
}

std::string CharTokenizer::decode(std::span<const int32_t> tokens) const {
  std::string text;
  text.reserve(tokens.size());
  for (int32_t token : tokens) {
    FOLIO_CHECK(token >= 0 && token < vocabulary(), "char tokenizer",
                "cannot decode token {}; tokens are 0 to {}", token, vocabulary() - 1);
    const auto index = static_cast<size_t>(token);
    append_utf8(text, index < characters_.size() ? characters_[index] : replacement_character);
  }
  return text;
}

std::string CharTokenizer::to_json() const {
  nlohmann::ordered_json json;
  json["kind"] = "char";
  json["unknown_character"] = unknown_ == UnknownCharacter::replace ? "replace" : "error";
  json["characters"] = std::vector<uint32_t>(characters_.begin(), characters_.end());
  return json.dump();
}

}  // namespace folio
