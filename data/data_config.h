// Section `data` of a config: the text, its tokenizer and how batches are drawn.
#pragma once

#include <cstdint>
#include <string>

#include "folio/data/token_batches.h"
#include "folio/data/tokenizer.h"
#include "folio/io/section.h"

namespace folio {

struct DataConfig {
  std::string text = "shakespeare";  // a path, a name in the data cache, or synthetic
  std::string tokenizer = "char";    // char | bpe | synthetic
  int64_t vocabulary = 1024;         // for synthetic tokens, and the maximum for bpe
  UnknownCharacter unknown = UnknownCharacter::error;
  double validation_fraction = 0.1;
  Sampling sampling = Sampling::random;

  void bind(Section& section);
};

}  // namespace folio
