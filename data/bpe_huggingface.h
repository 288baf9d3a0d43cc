// Reads Hugging Face's tokenizer.json.
#pragma once

#include <memory>
#include <nlohmann/json.hpp>
#include <string_view>

#include "folio/data/bpe_tokenizer.h"

namespace folio {

/// Reads a byte-level BPE tokenizer such as GPT-2's, or one that BpeTokenizer::to_json() wrote.
/// Throws Error(where, ...) for other kinds of tokenizers and for damaged files.
std::unique_ptr<BpeTokenizer> bpe_from_huggingface(const nlohmann::json& file,
                                                   std::string_view where);

}  // namespace folio
