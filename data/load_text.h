// Loads the text of a config: finds, reads and tokenizes it.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "folio/data/corpus.h"
#include "folio/data/data_config.h"
#include "folio/data/tokenizer.h"

namespace folio {

struct TokenizedText {
  std::unique_ptr<Tokenizer> tokenizer;
  Corpus corpus;
};

/// Finds, reads and tokenizes `data.text`, which must have more than `context` tokens. The
/// tokenizer is built from the text unless the caller passes one. Throws Error for
/// invalid input; `where` begins the message about a text that is not found.
TokenizedText tokenize_text(const DataConfig& data, int64_t context, std::string_view where,
                            std::unique_ptr<Tokenizer> tokenizer = nullptr);

}  // namespace folio
