// Random tokens for measuring speed and memory with any vocabulary size.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "folio/data/corpus.h"
#include "folio/data/tokenizer.h"

namespace folio {

/// The value of data.text and data.tokenizer for synthetic tokens.
inline constexpr std::string_view synthetic_name = "synthetic";

/// The text of token 17 is "<17>".
class SyntheticTokenizer : public Tokenizer {
 public:
  /// Throws Error unless `vocabulary` is at least 1.
  explicit SyntheticTokenizer(int64_t vocabulary);

  std::string_view kind() const override { return synthetic_name; }
  int64_t vocabulary() const override { return vocabulary_; }
  std::vector<int32_t> encode(std::string_view text, std::string_view where) const override;
  std::string decode(std::span<const int32_t> tokens) const override;
  std::string to_json() const override;

 private:
  int64_t vocabulary_;
};

/// 2^20 tokens, which depend on the vocabulary only, split as in make_corpus(). Throws Error as
/// make_corpus() does.
Corpus synthetic_corpus(int64_t vocabulary, double validation_fraction, int64_t context);

}  // namespace folio
