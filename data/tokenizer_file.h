// Reads tokenizer.json of a checkpoint, a prepared text or another program.
#pragma once

#include <filesystem>
#include <memory>

#include "folio/data/tokenizer.h"

namespace folio {

inline constexpr const char* tokenizer_file = "tokenizer.json";

/// Throws Error with the path if the file cannot be read or is not a tokenizer.
std::unique_ptr<Tokenizer> read_tokenizer(const std::filesystem::path& path);

}  // namespace folio
