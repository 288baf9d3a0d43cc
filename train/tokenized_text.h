// From a config to the tokens that it names: text, tokenizer, corpus.
#pragma once

#include <memory>

#include "folio/data/corpus.h"
#include "folio/data/tokenizer.h"
#include "folio/train/config.h"

namespace folio {

struct TokenizedText {
  std::unique_ptr<Tokenizer> tokenizer;
  Corpus corpus;
};

/// Finds and reads data.text, and builds the tokenizer from it unless a run that continues brings
/// its own, or train.init_from has one, to which the text must then be known. Throws Error for bad
/// input.
TokenizedText tokenize_text(const Config& config, std::unique_ptr<Tokenizer> tokenizer = nullptr);

}  // namespace folio
