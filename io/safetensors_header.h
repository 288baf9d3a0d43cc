// Parser for the JSON header of an untrusted safetensors file.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

namespace folio {

/// One tensor as the header describes it. The values are not validated.
struct HeaderEntry {
  std::string dtype;              // "F32", ...
  std::array<uint64_t, 4> dim{};  // the first `rank` are used
  int rank = 0;
  uint64_t begin = 0, end = 0;  // in bytes after the header
};

struct SafetensorsHeader {
  std::map<std::string, HeaderEntry> entries;
  std::map<std::string, std::string> metadata;
};

/// Throws Error(where, ...) for anything that the format does not allow: invalid JSON, unknown,
/// missing or repeated keys, wrong types, more than four dimensions. Time and memory are bounded by
/// a small multiple of the text's length, however deep it is nested.
SafetensorsHeader parse_safetensors_header(std::string_view text, std::string_view where);

}  // namespace folio
