// Learns the merges of byte pair encoding.
#include <algorithm>
#include <array>
#include <cstdint>
#include <iterator>
#include <map>
#include <memory>
#include <optional>
#include <queue>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "folio/data/bpe_tokenizer.h"
#include "folio/data/gpt2_bytes.h"
#include "folio/data/gpt2_words.h"
#include "folio/tensor/error.h"

namespace folio {
namespace {

using TokenPair = std::pair<int32_t, int32_t>;

struct PairHash {
  size_t operator()(const TokenPair& pair) const {
    const auto bits = static_cast<uint64_t>(static_cast<uint32_t>(pair.first)) << 32 |
                      static_cast<uint32_t>(pair.second);
    return bits * 0x9E3779B97F4A7C15u >> 16;
  }
};

/// A word as tokens, and its frequency.
struct Word {
  std::vector<int32_t> tokens;
  int64_t count = 0;
};

/// The frequency of each pair of adjacent tokens, and the words that contain it.
class PairCounts {
 public:
  explicit PairCounts(std::vector<Word> words) : words_(std::move(words)) {
    for (size_t i = 0; i < words_.size(); ++i) add(i, +1);
    for (const auto& [pair, entry] : pairs_) queue_.push({entry.count, pair});
  }

  /// The most frequent pair, or nothing if no pair occurs twice.
  std::optional<TokenPair> most_frequent() {
    while (!queue_.empty()) {
      const auto [count, pair] = queue_.top();
      queue_.pop();
      const int64_t now = pairs_[pair].count;
      if (count == now) return now >= 2 ? std::optional(pair) : std::nullopt;
      if (now > 0) queue_.push({now, pair});  // other merges have lowered its frequency
    }
    return std::nullopt;
  }

  /// Replaces every occurrence of the pair by the token `merged`.
  void join(TokenPair pair, int32_t merged) {
    std::vector<size_t> where = std::move(pairs_[pair].words);
    std::ranges::sort(where);
    where.erase(std::unique(where.begin(), where.end()), where.end());
    fresh_.clear();
    for (const size_t i : where) {
      add(i, -1);
      std::vector<int32_t>& tokens = words_[i].tokens;
      size_t end = 0;
      for (size_t k = 0; k < tokens.size(); ++k) {
        const bool here =
            k + 1 < tokens.size() && tokens[k] == pair.first && tokens[k + 1] == pair.second;
        tokens[end++] = here ? merged : tokens[k];
        k += here ? 1 : 0;
      }
      tokens.resize(end);
      add(i, +1, merged);
    }
    pairs_.erase(pair);
    std::ranges::sort(fresh_);
    fresh_.erase(std::unique(fresh_.begin(), fresh_.end()), fresh_.end());
    for (const TokenPair& other : fresh_) queue_.push({pairs_[other].count, other});
  }

 private:
  struct Entry {
    int64_t count = 0;
    std::vector<size_t> words;  // that contain or contained it, with repetitions
  };
  struct Candidate {
    int64_t count;
    TokenPair pair;
    bool operator<(const Candidate& other) const {
      return count != other.count ? count < other.count : pair > other.pair;
    }
  };

  /// Adds or subtracts the pairs of a word. The pairs that contain the token `merged` are new.
  void add(size_t i, int64_t sign, int32_t merged = -1) {
    const Word& word = words_[i];
    for (size_t k = 0; k + 1 < word.tokens.size(); ++k) {
      const TokenPair pair = {word.tokens[k], word.tokens[k + 1]};
      Entry& entry = pairs_[pair];
      entry.count += sign * word.count;
      const bool is_new = pair.first == merged || pair.second == merged;
      if (sign > 0 && (merged < 0 || is_new)) entry.words.push_back(i);
      if (is_new) fresh_.push_back(pair);
    }
  }

  std::vector<Word> words_;
  std::unordered_map<TokenPair, Entry, PairHash> pairs_;
  std::priority_queue<Candidate> queue_;
  std::vector<TokenPair> fresh_;  // created by the latest merge
};

}  // namespace

void BpeTokenizer::count_words(std::unordered_map<std::string, int64_t>& count,
                               std::string_view text, std::string_view where) {
  std::string key;
  split_words(text, where, [&](std::string_view word) {
    key = word;
    ++count[key];
  });
}

std::unique_ptr<BpeTokenizer> BpeTokenizer::learn(
    const std::unordered_map<std::string, int64_t>& count, int64_t vocabulary) {
  FOLIO_CHECK(vocabulary > 256, "bpe tokenizer",
              "the vocabulary is {}; it must be at least 257: 256 bytes and the end of a text",
              vocabulary);
  std::vector<std::string> bytes;
  std::array<int32_t, 256> token_of{};
  for (const uint8_t byte : gpt2_byte_order()) {
    token_of[byte] = static_cast<int32_t>(bytes.size());
    bytes.push_back(std::string(1, static_cast<char>(byte)));
  }
  std::vector<Word> words;
  words.reserve(count.size());
  for (const auto& [text, occurrences] : count) {
    Word word{.tokens = {}, .count = occurrences};
    for (const char byte : text) word.tokens.push_back(token_of[static_cast<uint8_t>(byte)]);
    if (word.tokens.size() > 1) words.push_back(std::move(word));
  }
  PairCounts pairs(std::move(words));
  std::vector<BpeMerge> merges;
  while (std::ssize(bytes) + 1 < vocabulary) {
    const auto pair = pairs.most_frequent();
    if (!pair) break;
    const auto merged = static_cast<int32_t>(bytes.size());
    merges.push_back({pair->first, pair->second, merged});
    bytes.push_back(bytes[static_cast<size_t>(pair->first)] +
                    bytes[static_cast<size_t>(pair->second)]);
    pairs.join(*pair, merged);
  }
  const auto end_of_text = static_cast<int32_t>(bytes.size());
  bytes.emplace_back(end_of_text_name);
  return std::make_unique<BpeTokenizer>(
      std::move(bytes), std::move(merges),
      std::map<int32_t, std::string>{{end_of_text, std::string(end_of_text_name)}},
      "bpe tokenizer");
}

}  // namespace folio
