// A sequence of tokens that lies elsewhere: in memory, or in a file that the system reads as
// needed.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace folio {

/// Tokens of 32 bits each or, where the vocabulary is small enough, of 16. A view: what it shows
/// must outlive it.
class TokenSpan {
 public:
  TokenSpan() = default;
  TokenSpan(std::span<const int32_t> tokens) : data_(tokens.data()), size_(tokens.size()) {}
  TokenSpan(const std::vector<int32_t>& tokens) : TokenSpan(std::span(tokens)) {}
  TokenSpan(std::span<const uint16_t> tokens)
      : data_(tokens.data()), size_(tokens.size()), narrow_(true) {}

  /// The same, of which copy() refuses what is not below `vocabulary`: of a file, which damage may
  /// have reached.
  TokenSpan checked(int64_t vocabulary) const;

  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  int32_t operator[](size_t index) const;
  TokenSpan first(size_t count) const { return subspan(0, count); }
  /// Tokens begin .. begin + count - 1. Throws Error if there are not so many.
  TokenSpan subspan(size_t begin, size_t count) const;
  TokenSpan subspan(size_t begin) const { return subspan(begin, size_ - std::min(begin, size_)); }

  /// Writes tokens begin .. begin + count - 1 to `to`. Throws Error if there are not so many, or
  /// for one that checked() forbids.
  void copy(size_t begin, size_t count, int32_t* to) const;
  std::vector<int32_t> to_vector() const;

 private:
  void check_range(size_t begin, size_t count) const;

  const void* data_ = nullptr;
  size_t size_ = 0;
  bool narrow_ = false;     // 16 bits each
  int64_t vocabulary_ = 0;  // 0: not checked
};

}  // namespace folio
