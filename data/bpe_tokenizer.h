// Byte pair encoding as in GPT-2. A token is a sequence of bytes that is frequent in the text from
// which the tokenizer was learned.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "folio/data/tokenizer.h"

namespace folio {

/// The token between documents. encode() never returns it, even for a text that contains its name.
inline constexpr std::string_view end_of_text_name = "<|endoftext|>";

/// A merge: two tokens that are joined to one.
struct BpeMerge {
  int32_t left = 0, right = 0, merged = 0;
};

/// Text is split into words (data/gpt2_words.h). Within each word, adjacent tokens are merged,
/// first those whose merge was learned first. Every text can be encoded, and decode(encode(text))
/// is the text. Source: Sennrich et al. 2016, "Neural Machine Translation of Rare Words with
/// Subword Units", algorithm 1; over bytes: Radford et al. 2019, "Language Models are Unsupervised
/// Multitask Learners", section 2.2.
class BpeTokenizer : public Tokenizer {
 public:
  /// `bytes` has the bytes of each token that is not special; every single byte must be a token.
  /// `merges` are in the order in which they were learned. `special` has the names of the special
  /// tokens. Throws Error(where, ...) if these are inconsistent.
  BpeTokenizer(std::vector<std::string> bytes, std::vector<BpeMerge> merges,
               std::map<int32_t, std::string> special, std::string_view where);

  /// Learns a tokenizer from words and their frequencies. `vocabulary` includes the 256 bytes and
  /// the end-of-text token; the tokenizer has fewer tokens if no pair occurs twice any more. Of
  /// equally frequent pairs, the one with the lower token numbers is merged first. Throws Error for
  /// a vocabulary below 257.
  static std::unique_ptr<BpeTokenizer> learn(const std::unordered_map<std::string, int64_t>& count,
                                             int64_t vocabulary);
  /// Adds the words of `text` to `count`. Throws Error(where, ...) for invalid UTF-8.
  static void count_words(std::unordered_map<std::string, int64_t>& count, std::string_view text,
                          std::string_view where);

  std::string_view kind() const override { return "bpe"; }
  int64_t vocabulary() const override { return std::ssize(bytes_); }
  std::vector<int32_t> encode(std::string_view text, std::string_view where) const override;
  /// The bytes of the tokens; a character may be split between two tokens. A special token decodes
  /// to its name.
  std::string decode(std::span<const int32_t> tokens) const override;
  /// A tokenizer.json for Hugging Face's `transformers` and `tokenizers`.
  std::string to_json() const override;
  std::optional<int32_t> end_of_text() const override;

 private:
  void append_word(std::string_view word, std::vector<int32_t>& tokens) const;

  std::vector<std::string> bytes_;  // of each token; a special token has its name
  std::vector<BpeMerge> merges_;
  std::map<int32_t, std::string> special_;
  std::array<int32_t, 256> byte_tokens_;
  std::unordered_map<uint64_t, int32_t> ranks_;  // from a pair to its index in merges_
};

}  // namespace folio
