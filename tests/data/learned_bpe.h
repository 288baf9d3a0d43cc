// A BPE tokenizer learned from a text.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

#include "folio/data/bpe_tokenizer.h"

namespace folio {

inline std::unique_ptr<BpeTokenizer> learned_bpe(std::string_view text, int64_t vocabulary) {
  std::unordered_map<std::string, int64_t> count;
  BpeTokenizer::count_words(count, text, "text.txt");
  return BpeTokenizer::learn(count, vocabulary);
}

}  // namespace folio
