#include "folio/data/synthetic.h"

#include <fmt/core.h>

#include <charconv>
#include <nlohmann/json.hpp>
#include <system_error>
#include <utility>

#include "folio/tensor/error.h"
#include "folio/tensor/random.h"

namespace folio {

SyntheticTokenizer::SyntheticTokenizer(int64_t vocabulary) : vocabulary_(vocabulary) {
  FOLIO_CHECK(vocabulary >= 1 && vocabulary <= INT32_MAX, "synthetic tokenizer",
              "the vocabulary is {}; it must be at least 1 and below 2^31", vocabulary);
}

std::vector<int32_t> SyntheticTokenizer::encode(std::string_view text,
                                                std::string_view where) const {
  std::vector<int32_t> tokens;
  const char* end = text.data() + text.size();
  for (const char* next = text.data(); next != end; ++next) {
    int32_t token = -1;
    const auto [after, error] = std::from_chars(next + (*next == '<'), end, token);
    FOLIO_CHECK(*next == '<' && error == std::errc() && after != end && *after == '>' &&
                    token >= 0 && token < vocabulary_,
                where, "is not a sequence of tokens like <17>, each below {}, from byte {} on",
                vocabulary_, next - text.data());
    tokens.push_back(token);
    next = after;
  }
  return tokens;
}

std::string SyntheticTokenizer::decode(std::span<const int32_t> tokens) const {
  std::string text;
  for (const int32_t token : tokens) {
    FOLIO_CHECK(token >= 0 && token < vocabulary_, "synthetic tokenizer",
                "cannot decode token {}; tokens are 0 to {}", token, vocabulary_ - 1);
    text += fmt::format("<{}>", token);
  }
  return text;
}

std::string SyntheticTokenizer::to_json() const {
  return nlohmann::ordered_json{{"kind", kind()}, {"vocabulary", vocabulary_}}.dump();
}

Corpus synthetic_corpus(int64_t vocabulary, double validation_fraction, int64_t context) {
  std::vector<int32_t> tokens(int64_t{1} << 20);
  const RandomStream stream{.seed = 0, .purpose = purpose_of("synthetic corpus"), .step = 0};
  for (size_t i = 0; i < tokens.size(); ++i) {
    tokens[i] = static_cast<int32_t>(stream.below(static_cast<uint64_t>(vocabulary), i));
  }
  return split_corpus("synthetic (random tokens, for measuring only)", 0, std::move(tokens),
                      validation_fraction, context);
}

}  // namespace folio
