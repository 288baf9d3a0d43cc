// The JSON header of a safetensors file, parsed without trust.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

namespace folio {

/// One tensor as the header describes it; nothing is known yet of whether it makes sense.
struct HeaderEntry {
  std::string dtype;              // "F32", ...
  std::array<uint64_t, 4> dim{};  // the first `rank` count
  int rank = 0;
  uint64_t begin = 0, end = 0;  // bytes, from the first behind the header
};

struct SafetensorsHeader {
  std::map<std::string, HeaderEntry> entries;
  std::map<std::string, std::string> metadata;
};

/// Throws Error, beginning with `where`, for anything that the format does not allow: bad JSON,
/// unknown, missing or repeated keys, wrong types, more than four dimensions. Neither time nor
/// memory exceeds a small multiple of the text's length, however it is nested.
SafetensorsHeader parse_safetensors_header(std::string_view text, std::string_view where);

}  // namespace folio
