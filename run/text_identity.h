// text.json of a run: the identity of the text that it learns from, so that the run is resumed
// with, and evaluated on, the same text.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "folio/run/config.h"

namespace folio {

struct TextIdentity {
  std::filesystem::path path;  // absolute
  int64_t bytes = 0;
  std::string
      hash;  // 16 hexadecimal digits: FNV-1a of the bytes, or of what a prepared text records

  bool same_text(const TextIdentity& other) const {
    return bytes == other.bytes && hash == other.hash;
  }
};

/// Finds the text that `data.text` names, as find_text() does, and reads it.
TextIdentity identify_text(const std::string& text);

std::string to_json(const TextIdentity& identity);

/// Reads RUN/text.json. Throws Error if it is missing or damaged.
TextIdentity read_text_identity(const std::filesystem::path& run);

/// The present path of the run's text: where it was when the run began or, if it is gone from
/// there, where `data.text` of the config leads. Throws Error if it is gone or another text is
/// there.
TextIdentity find_run_text(const std::filesystem::path& run, const Config& config);

}  // namespace folio
