// The checksum of checkpoint files: XXH64 with seed 0, so that `xxhsum -H64` checks them too.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace folio {

/// XXH64 of a sequence of bytes that arrives in pieces (Y. Collet, "xxHash fast digest algorithm",
/// version 0.1.1, https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md). Four lanes of
/// eight bytes: fast enough never to be seen beside the disk. It guards against accidents, not
/// against forgery.
class Checksum {
 public:
  void add(const void* data, size_t bytes);
  /// Of everything added so far.
  uint64_t value() const;

 private:
  std::array<uint64_t, 4> lanes_ = {prime1 + prime2, prime2, 0, 0 - prime1};
  std::array<unsigned char, 32> pending_{};  // the first length_ % 32 bytes wait for a full stripe
  uint64_t length_ = 0;                      // bytes added

  static constexpr uint64_t prime1 = 0x9E3779B185EBCA87u, prime2 = 0xC2B2AE3D27D4EB4Fu,
                            prime3 = 0x165667B19E3779F9u, prime4 = 0x85EBCA77C2B2AE63u,
                            prime5 = 0x27D4EB2F165667C5u;
  static uint64_t round(uint64_t lane, uint64_t word);
  void stripe(const unsigned char* bytes);
};

}  // namespace folio
