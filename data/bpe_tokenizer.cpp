#include "folio/data/bpe_tokenizer.h"

#include <algorithm>
#include <cstddef>
#include <functional>
#include <queue>

#include "folio/data/gpt2_words.h"
#include "folio/tensor/error.h"

namespace folio {
namespace {

uint64_t pair_of(int32_t left, int32_t right) {
  return static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32 | static_cast<uint32_t>(right);
}

}  // namespace

BpeTokenizer::BpeTokenizer(std::vector<std::string> bytes, std::vector<BpeMerge> merges,
                           std::map<int32_t, std::string> special, std::string_view where)
    : bytes_(std::move(bytes)), merges_(std::move(merges)), special_(std::move(special)) {
  byte_tokens_.fill(-1);
  for (int32_t token = 0; token < vocabulary(); ++token) {
    const std::string& text = bytes_[static_cast<size_t>(token)];
    if (text.size() == 1 && !special_.contains(token)) {
      byte_tokens_[static_cast<uint8_t>(text[0])] = token;
    }
  }
  for (size_t byte = 0; byte < 256; ++byte) {
    FOLIO_CHECK(byte_tokens_[byte] >= 0, where, "there is no token for the byte 0x{:02x}", byte);
  }
  const auto known = [this](int32_t token) {
    return token >= 0 && token < vocabulary() && !special_.contains(token);
  };
  for (size_t i = 0; i < merges_.size(); ++i) {
    const auto& [left, right, merged] = merges_[i];
    FOLIO_CHECK(known(left) && known(right) && known(merged) &&
                    bytes_[static_cast<size_t>(merged)] ==
                        bytes_[static_cast<size_t>(left)] + bytes_[static_cast<size_t>(right)],
                where, "merge {} (counted from 0) does not join two tokens to a third", i);
    ranks_[pair_of(left, right)] = static_cast<int32_t>(i);
  }
}

std::optional<int32_t> BpeTokenizer::end_of_text() const {
  for (const auto& [token, name] : special_) {
    if (name == end_of_text_name) return token;
  }
  return std::nullopt;
}

void BpeTokenizer::append_word(std::string_view word, std::vector<int32_t>& tokens) const {
  // A doubly linked list of the word's tokens. A token that was merged into its predecessor is
  // removed from the list.
  struct Link {
    int32_t token;
    int64_t before, after;
    bool joined = false;
  };
  struct Candidate {
    int32_t rank;
    int64_t left;
    bool operator>(const Candidate& other) const {
      return std::pair(rank, left) > std::pair(other.rank, other.left);
    }
  };
  const auto length = static_cast<int64_t>(word.size());
  std::vector<Link> chain(word.size());
  std::priority_queue<Candidate, std::vector<Candidate>, std::greater<>> candidates;
  const auto consider = [&](int64_t left) {
    if (left < 0 || chain[left].after >= length) return;
    const auto rank = ranks_.find(pair_of(chain[left].token, chain[chain[left].after].token));
    if (rank != ranks_.end()) candidates.push({rank->second, left});
  };
  for (int64_t i = 0; i < length; ++i) {
    chain[i] = {byte_tokens_[static_cast<uint8_t>(word[i])], i - 1, i + 1};
  }
  for (int64_t i = 0; i < length; ++i) consider(i);
  while (!candidates.empty()) {
    const Candidate best = candidates.top();
    candidates.pop();
    const BpeMerge& merge = merges_[static_cast<size_t>(best.rank)];
    Link& left = chain[best.left];
    if (left.joined || left.token != merge.left || left.after >= length) continue;
    Link& right = chain[left.after];
    if (right.token != merge.right) continue;
    right.joined = true;
    left.token = merge.merged;
    left.after = right.after;
    if (left.after < length) chain[left.after].before = best.left;
    consider(left.before);
    consider(best.left);
  }
  for (int64_t i = 0; i < length; i = chain[i].after) tokens.push_back(chain[i].token);
}

std::vector<int32_t> BpeTokenizer::encode(std::string_view text, std::string_view where) const {
  std::vector<int32_t> tokens;
  // From each word seen before to the position of its tokens.
  std::unordered_map<std::string_view, std::pair<size_t, size_t>> met;
  split_words(text, where, [&](std::string_view word) {
    const auto [entry, is_new] = met.try_emplace(word, tokens.size(), 0);
    auto& [begin, count] = entry->second;
    if (is_new) {
      append_word(word, tokens);
      count = tokens.size() - begin;
      return;
    }
    tokens.resize(tokens.size() + count);
    std::copy_n(tokens.begin() + static_cast<std::ptrdiff_t>(begin), count,
                tokens.end() - static_cast<std::ptrdiff_t>(count));
  });
  return tokens;
}

std::string BpeTokenizer::decode(std::span<const int32_t> tokens) const {
  std::string text;
  for (const int32_t token : tokens) {
    FOLIO_CHECK(token >= 0 && token < vocabulary(), "bpe tokenizer",
                "cannot decode token {}; tokens are 0 to {}", token, vocabulary() - 1);
    text += bytes_[static_cast<size_t>(token)];
  }
  return text;
}

}  // namespace folio
