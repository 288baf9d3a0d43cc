// A text, tokenized and split into a training and a validation part.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "folio/data/token_span.h"
#include "folio/data/tokenizer.h"

namespace folio {

/// The file that `text` names: a path, or a name in the data cache. `shakespeare` is
/// tinyshakespeare.txt or, where that is nowhere, plays.txt; a copy that has not the size it should
/// have is passed over. Any other name without a slash is looked for as a path, then as NAME.txt. A
/// directory is one that `folio prepare` made.
/// Looked through: $FOLIO_CACHE_DIR (else $XDG_CACHE_HOME/folio, else ~/.cache/folio), then
/// $FOLIO_DATA_DIR. Throws Error that lists every place tried.
std::filesystem::path find_text(const std::string& text);

/// The file that makes a directory a text, tokenized beforehand.
inline constexpr const char* prepared_file = "prepared.json";

/// A whole file. Throws Error with the path and the system's reason.
std::string read_file(const std::filesystem::path& path);

/// The tokens of one text: the first part trains, the rest validates.
struct Corpus {
  std::filesystem::path path;
  int64_t bytes = 0;
  TokenSpan tokens;
  std::shared_ptr<const void> storage;  // what `tokens` shows
  int64_t train_tokens = 0;             // the first so many

  TokenSpan train() const { return tokens.first(static_cast<size_t>(train_tokens)); }
  TokenSpan validation() const { return tokens.subspan(static_cast<size_t>(train_tokens)); }
};

/// Tokenizes `text` (already read from `path`) and cuts it after floor((1 - validation_fraction) N)
/// of its N tokens. Throws Error if either part is too short to hold one window of `context` tokens
/// and its target (a validation_fraction of 0 leaves no validation part, which is allowed).
Corpus make_corpus(const std::filesystem::path& path, std::string_view text,
                   const Tokenizer& tokenizer, double validation_fraction, int64_t context);

/// The same split of tokens that came from elsewhere. `path` and `bytes`: what the corpus shall
/// say.
Corpus split_corpus(const std::filesystem::path& path, int64_t bytes, std::vector<int32_t> tokens,
                    double validation_fraction, int64_t context);
/// Of tokens that `storage` holds.
Corpus split_corpus(const std::filesystem::path& path, int64_t bytes, TokenSpan tokens,
                    std::shared_ptr<const void> storage, double validation_fraction,
                    int64_t context);

/// The text of tokens, wherever they lie.
std::string text_of(const Tokenizer& tokenizer, TokenSpan tokens);
/// Its bytes, those of ends of texts not counted.
int64_t text_bytes(const Tokenizer& tokenizer, TokenSpan tokens);

}  // namespace folio
