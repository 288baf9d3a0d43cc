#include "folio/io/hash.h"

#include <fmt/core.h>

#include <cstdint>

#include "folio/tensor/error.h"

namespace folio {

std::string hash_of(std::string_view text) {
  uint64_t hash = 14695981039346656037u;
  for (char c : text) hash = (hash ^ static_cast<uint8_t>(c)) * 1099511628211u;
  return fmt::format("{:016x}", hash);
}

}  // namespace folio
