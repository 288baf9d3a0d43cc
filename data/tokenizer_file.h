// tokenizer.json: of a checkpoint, of a prepared text, or of others.
#pragma once

#include <filesystem>
#include <memory>

#include "folio/data/tokenizer.h"

namespace folio {

inline constexpr const char* tokenizer_file = "tokenizer.json";

/// Throws Error, beginning with the path, where the file cannot be read or is no tokenizer.
std::unique_ptr<Tokenizer> read_tokenizer(const std::filesystem::path& path);

}  // namespace folio
