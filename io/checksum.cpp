#include "folio/io/checksum.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace folio {
namespace {

static_assert(std::endian::native == std::endian::little, "words are read as they lie in memory");

template <class Word>
Word load(const unsigned char* bytes) {
  Word word;
  std::memcpy(&word, bytes, sizeof word);
  return word;
}

}  // namespace

// For a given lane it is a bijection of the word, and for a given word one of the lane: no single
// change of the input gets lost.
uint64_t Checksum::round(uint64_t lane, uint64_t word) {
  return std::rotl(lane + word * prime2, 31) * prime1;
}

void Checksum::stripe(const unsigned char* bytes) {
  for (int i = 0; i < 4; ++i) lanes_[i] = round(lanes_[i], load<uint64_t>(bytes + 8 * i));
}

void Checksum::add(const void* data, size_t bytes) {
  const unsigned char* next = static_cast<const unsigned char*>(data);
  const unsigned char* const end = next + bytes;
  const size_t waiting = length_ % 32;
  length_ += bytes;
  if (waiting > 0) {
    const size_t taken = std::min(bytes, 32 - waiting);
    std::copy_n(next, taken, pending_.data() + waiting);
    next += taken;
    if (waiting + taken < 32) return;
    stripe(pending_.data());
  }
  for (; end - next >= 32; next += 32) stripe(next);
  std::copy(next, end, pending_.data());
}

uint64_t Checksum::value() const {
  uint64_t hash = prime5;  // of fewer than 32 bytes
  if (length_ >= 32) {
    hash = std::rotl(lanes_[0], 1) + std::rotl(lanes_[1], 7) + std::rotl(lanes_[2], 12) +
           std::rotl(lanes_[3], 18);
    for (uint64_t lane : lanes_) hash = (hash ^ round(0, lane)) * prime1 + prime4;
  }
  hash += length_;
  const unsigned char* next = pending_.data();
  const unsigned char* const end = next + length_ % 32;
  for (; end - next >= 8; next += 8) {
    hash = std::rotl(hash ^ round(0, load<uint64_t>(next)), 27) * prime1 + prime4;
  }
  for (; end - next >= 4; next += 4) {
    hash = std::rotl(hash ^ (load<uint32_t>(next) * prime1), 23) * prime2 + prime3;
  }
  for (; next < end; ++next) hash = std::rotl(hash ^ (*next * prime5), 11) * prime1;
  hash = (hash ^ (hash >> 33)) * prime2;
  hash = (hash ^ (hash >> 29)) * prime3;
  return hash ^ (hash >> 32);
}

}  // namespace folio
