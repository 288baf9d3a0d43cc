// The section `data` of a config: the text, its tokens, and how batches are drawn from it.
#pragma once

#include <cstdint>
#include <string>

#include "folio/data/batches.h"
#include "folio/data/tokenizer.h"

namespace folio {

struct DataConfig {
  std::string text =
      "shakespeare";  // a path, a name in the data cache (see find_text()), or synthetic
  std::string tokenizer = "char";  // char | bpe | synthetic
  int64_t vocabulary = 1024;       // of synthetic tokens; of bpe at most
  UnknownCharacter unknown = UnknownCharacter::error;
  double validation_fraction = 0.1;
  Sampling sampling = Sampling::random;
};

}  // namespace folio
