// Finds texts; a tokenized text with its training and validation split.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "folio/data/token_span.h"
#include "folio/data/tokenizer.h"

namespace folio {

/// The file that `text` names, or why there is none.
struct TextSearch {
  std::filesystem::path path;
  std::string why_not;  // lists the places tried
};

/// `text` is a path, or a name in the data cache. The name `shakespeare` stands for
/// tinyshakespeare.txt or, if that is not found, plays.txt; copies of another size than the
/// originals are skipped. Any other name without a slash is tried as a path, then as NAME.txt. A
/// directory must have been made by `folio prepare`. Names are looked up in $FOLIO_CACHE_DIR (else
/// $XDG_CACHE_HOME/folio, else ~/.cache/folio), then in $FOLIO_DATA_DIR.
TextSearch search_text(const std::string& text);

/// The path that search_text() finds. Throws Error(where, ...) if it finds none.
std::filesystem::path find_text(const std::string& text, std::string_view where);

/// The file that marks a directory as a prepared text.
inline constexpr const char* prepared_file = "prepared.json";

/// The tokens of a text. The first `train_tokens` are for training, the rest for validation.
struct Corpus {
  std::filesystem::path path;
  int64_t bytes = 0;
  TokenSpan tokens;
  std::shared_ptr<const void> storage;  // keeps what `tokens` refers to alive
  int64_t train_tokens = 0;

  TokenSpan train() const { return tokens.first(static_cast<size_t>(train_tokens)); }
  TokenSpan validation() const { return tokens.subspan(static_cast<size_t>(train_tokens)); }
};

/// Tokenizes `text`, which was read from `path`, and splits its N tokens after
/// floor((1 - validation_fraction) N). Throws Error if either part is shorter than context + 1
/// tokens; an empty validation part is allowed for a validation_fraction of 0.
Corpus make_corpus(const std::filesystem::path& path, std::string_view text,
                   const Tokenizer& tokenizer, double validation_fraction, int64_t context);

/// Splits given tokens in the same way. `path` and `bytes` become members of the corpus.
Corpus split_corpus(const std::filesystem::path& path, int64_t bytes, std::vector<int32_t> tokens,
                    double validation_fraction, int64_t context);
/// The same for tokens that belong to `storage`.
Corpus split_corpus(const std::filesystem::path& path, int64_t bytes, TokenSpan tokens,
                    std::shared_ptr<const void> storage, double validation_fraction,
                    int64_t context);

/// Decodes tokens.
std::string text_of(const Tokenizer& tokenizer, TokenSpan tokens);
/// The number of bytes in the decoded text, without end-of-text tokens.
int64_t text_bytes(const Tokenizer& tokenizer, TokenSpan tokens);

}  // namespace folio
