// A text, tokenized and split into a training and a validation part.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "folio/data/tokenizer.h"

namespace folio {

/// The file that `text` names: a path, or a name in the data cache. `shakespeare` is
/// tinyshakespeare.txt or, where that is nowhere, plays.txt; a copy that has not the size it should
/// have is passed over. Any other name without a slash is looked for as a path, then as NAME.txt.
/// Looked through: $FOLIO_CACHE_DIR (else $XDG_CACHE_HOME/folio, else ~/.cache/folio), then
/// $FOLIO_DATA_DIR. Throws Error that lists every place tried.
std::filesystem::path find_text(const std::string& text);

/// A whole file. Throws Error with the path and the system's reason.
std::string read_file(const std::filesystem::path& path);

/// The tokens of one text: the first part trains, the rest validates.
struct Corpus {
  std::filesystem::path path;
  int64_t bytes = 0;
  std::vector<int32_t> tokens;
  int64_t train_tokens = 0;  // the first so many

  std::span<const int32_t> train() const { return std::span(tokens).first(train_tokens); }
  std::span<const int32_t> validation() const { return std::span(tokens).subspan(train_tokens); }
};

/// Tokenizes `text` (already read from `path`) and cuts it after floor((1 - validation_fraction) N)
/// of its N tokens. Throws Error if either part is too short to hold one window of `context` tokens
/// and its target (a validation_fraction of 0 leaves no validation part, which is allowed).
Corpus make_corpus(const std::filesystem::path& path, std::string_view text,
                   const Tokenizer& tokenizer, double validation_fraction, int64_t context);

/// The same split of tokens that came from elsewhere. `path` and `bytes`: what the corpus shall say.
Corpus split_corpus(const std::filesystem::path& path, int64_t bytes, std::vector<int32_t> tokens,
                    double validation_fraction, int64_t context);

}  // namespace folio
