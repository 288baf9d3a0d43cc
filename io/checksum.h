// XXH64 with seed 0, the checksum of Folio's files: `xxhsum -H64` prints the same value.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

struct XXH64_state_s;

namespace folio {

/// XXH64 of bytes that arrive in pieces. It detects accidental damage; it does not protect against
/// forgery.
class Checksum {
 public:
  Checksum();
  void add(const void* data, size_t bytes);
  /// The checksum of all bytes added so far.
  uint64_t value() const;

 private:
  struct Free {
    void operator()(XXH64_state_s* state) const;
  };
  std::unique_ptr<XXH64_state_s, Free> state_;
};

/// The checksum of a whole text.
uint64_t checksum_of(std::string_view text);

/// A checksum as text: 16 hexadecimal digits.
std::string hexadecimal(uint64_t checksum);

/// The 64-bit FNV-1a hash of the bytes as 16 hexadecimal digits. It distinguishes texts and
/// tokenizers, and is not cryptographic.
std::string hash_of(std::string_view text);

}  // namespace folio
