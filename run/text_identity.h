// text.json of a run: identifies the training text, so that a run is resumed and evaluated with the
// same text.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "folio/run/config.h"

namespace folio {

struct TextIdentity {
  std::filesystem::path path;  // absolute
  int64_t bytes = 0;
  std::string hash;  // 16 hexadecimal digits: FNV-1a of the text, or of a prepared text's hashes

  bool same_text(const TextIdentity& other) const {
    return bytes == other.bytes && hash == other.hash;
  }
};

/// Finds the text `data.text` as find_text() does, and computes its identity.
TextIdentity identify_text(const std::string& text);

std::string to_json(const TextIdentity& identity);

/// Reads RUN/text.json. Throws Error if it is missing or damaged.
TextIdentity read_text_identity(const std::filesystem::path& run);

/// Finds the run's text: at its recorded path or, if it is not there, by data.text of the config.
/// Throws Error if there is no text or another one.
TextIdentity find_run_text(const std::filesystem::path& run, const Config& config);

}  // namespace folio
