#include "folio/io/checksum.h"

#include <fmt/format.h>
#include <xxhash.h>

#include <new>

namespace folio {

Checksum::Checksum() : state_(XXH64_createState()) {
  if (!state_) throw std::bad_alloc();
  XXH64_reset(state_.get(), 0);
}

void Checksum::Free::operator()(XXH64_state_s* state) const { XXH64_freeState(state); }

void Checksum::add(const void* data, size_t bytes) { XXH64_update(state_.get(), data, bytes); }

uint64_t Checksum::value() const { return XXH64_digest(state_.get()); }

uint64_t checksum_of(std::string_view text) { return XXH64(text.data(), text.size(), 0); }

std::string hexadecimal(uint64_t checksum) { return fmt::format("{:016x}", checksum); }

std::string hash_of(std::string_view text) {
  uint64_t hash = 14695981039346656037u;
  for (char c : text) hash = (hash ^ static_cast<uint8_t>(c)) * 1099511628211u;
  return hexadecimal(hash);
}

}  // namespace folio
