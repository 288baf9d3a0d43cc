// Hugging Face's tokenizer.json, read.
#pragma once

#include <memory>
#include <nlohmann/json.hpp>
#include <string_view>

#include "folio/data/bpe_tokenizer.h"

namespace folio {

/// GPT-2's, or one of its kind; BpeTokenizer::to_json() writes it. Throws Error, beginning with
/// `where`, for one that works otherwise or is damaged.
std::unique_ptr<BpeTokenizer> bpe_from_huggingface(const nlohmann::json& file,
                                                   std::string_view where);

}  // namespace folio
