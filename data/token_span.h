// A view of tokens in memory or in a memory-mapped file.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace folio {

/// A view of tokens of 16 or 32 bits, which must outlive it.
class TokenSpan {
 public:
  TokenSpan() = default;
  TokenSpan(std::span<const int32_t> tokens) : data_(tokens.data()), size_(tokens.size()) {}
  TokenSpan(const std::vector<int32_t>& tokens) : TokenSpan(std::span(tokens)) {}
  TokenSpan(std::span<const uint16_t> tokens)
      : data_(tokens.data()), size_(tokens.size()), narrow_(true) {}

  /// The same view with a check: copy() throws Error for a token that is not below `vocabulary`, as
  /// a damaged file may contain.
  TokenSpan checked(int64_t vocabulary) const;

  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  int32_t operator[](size_t index) const;
  TokenSpan first(size_t count) const { return subspan(0, count); }
  /// Tokens begin to begin + count - 1. Throws Error if there are fewer.
  TokenSpan subspan(size_t begin, size_t count) const;
  TokenSpan subspan(size_t begin) const { return subspan(begin, size_ - std::min(begin, size_)); }

  /// Copies tokens begin to begin + count - 1 to `to`. Throws Error if there are fewer or if a
  /// check fails.
  void copy(size_t begin, size_t count, int32_t* to) const;
  std::vector<int32_t> to_vector() const;

 private:
  void check_range(size_t begin, size_t count) const;

  const void* data_ = nullptr;
  size_t size_ = 0;
  bool narrow_ = false;     // 16 bits per token
  int64_t vocabulary_ = 0;  // 0: not checked
};

}  // namespace folio
