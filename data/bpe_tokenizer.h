// Byte pair encoding, as GPT-2 has it: a token is a sequence of bytes that is frequent in the text
// that the tokenizer was learned from.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "folio/data/tokenizer.h"

namespace folio {

/// What stands between documents; never the result of encode(), whatever the text says.
inline constexpr std::string_view end_of_text_name = "<|endoftext|>";

/// Two tokens that become one.
struct BpeMerge {
  int32_t left = 0, right = 0, merged = 0;
};

/// Text is cut into words (data/words.h); the bytes of each are joined pair by pair, the pair first
/// that was learned first. Every text can be encoded, and decode(encode(text)) is the text. Source:
/// Sennrich et al. 2016, "Neural Machine Translation of Rare Words with Subword Units", algorithm
/// 1; over bytes: Radford et al. 2019, "Language Models are Unsupervised Multitask Learners", 2.2.
class BpeTokenizer : public Tokenizer {
 public:
  /// `bytes`: those of each token, none of them special; each of the 256 bytes has a token.
  /// `merges` in the order in which they were learned; `special`: names of tokens that are no text.
  /// Throws Error, beginning with `where`, where that does not fit together.
  BpeTokenizer(std::vector<std::string> bytes, std::vector<BpeMerge> merges,
               std::map<int32_t, std::string> special, std::string_view where);

  /// Learns from the words that `count` has counted. Fewer tokens than `vocabulary` (which counts
  /// the 256 bytes and the end of a text) where no pair of them occurs twice any more. Of equally
  /// frequent pairs the one whose tokens have the lower numbers comes first. Throws Error for a
  /// vocabulary below 257.
  static std::unique_ptr<BpeTokenizer> learn(const std::unordered_map<std::string, int64_t>& count,
                                             int64_t vocabulary);
  /// Adds the words of `text` to `count`. Throws Error, beginning with `where`, for bad UTF-8.
  static void count_words(std::unordered_map<std::string, int64_t>& count, std::string_view text,
                          std::string_view where);

  std::string_view kind() const override { return "bpe"; }
  int64_t vocabulary() const override { return std::ssize(bytes_); }
  std::vector<int32_t> encode(std::string_view text, std::string_view where) const override;
  /// Bytes: a character may begin in one token and end in the next. A special token is its name.
  std::string decode(std::span<const int32_t> tokens) const override;
  /// Hugging Face's tokenizer.json, which `transformers` and `tokenizers` read.
  std::string to_json() const override;
  std::optional<int32_t> end_of_text() const override;

 private:
  void append_word(std::string_view word, std::vector<int32_t>& tokens) const;

  std::vector<std::string> bytes_;  // of each token; the name of a special one
  std::vector<BpeMerge> merges_;
  std::map<int32_t, std::string> special_;
  std::array<int32_t, 256> byte_tokens_;
  std::unordered_map<uint64_t, int32_t> ranks_;  // of a pair: its place in merges_
};

}  // namespace folio
