// From a config to the tokens that it names: text, tokenizer, corpus.
#pragma once

#include <memory>

#include "folio/data/corpus.h"
#include "folio/data/data_config.h"
#include "folio/data/tokenizer.h"

namespace folio {

struct TokenizedText {
  std::unique_ptr<Tokenizer> tokenizer;
  Corpus corpus;
};

/// Finds and reads `data.text`, which must hold at least `context` tokens and one more. Builds the
/// tokenizer from it unless the caller brings one, to which the text must then be known. Throws
/// Error for bad input.
TokenizedText tokenize_text(const DataConfig& data, int64_t context,
                            std::unique_ptr<Tokenizer> tokenizer = nullptr);

}  // namespace folio
