// A text that was tokenized beforehand: a directory with tokens.bin (16 or 32 bits each, the lower
// byte first), tokenizer.json, and prepared.json, which says what they are. As data.text, the
// system reads of tokens.bin what batches ask for: a text may be larger than memory.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "folio/data/token_span.h"
#include "folio/data/tokenizer.h"
#include "folio/io/files.h"

namespace folio {

struct PrepareOptions {
  std::vector<std::filesystem::path> texts = {};  // in their order
  std::string tokenizer = "bpe";                  // char, bpe, or the path of a tokenizer.json
  int64_t vocabulary = 4096;                      // of bpe, at most
  std::filesystem::path out = {};                 // must not exist, or be empty
};

/// What prepared.json says.
struct PreparedFacts {
  std::string tokenizer;  // its kind
  std::string tokenizer_hash;
  int64_t vocabulary = 0;
  int64_t tokens = 0;
  int64_t bytes = 0;  // of the texts
  FileStamp stamp;    // of tokens.bin
};

/// Learns the tokenizer from the texts (unless it is given), encodes each, and writes the
/// directory, which is whole or not there. Between two texts stands the end of a text, where the
/// tokenizer has one. bpe learns from up to 2^30 bytes, evenly spread. Needs memory for some pieces
/// of 8 MB and for the words learned from. Throws Error for what cannot be read or encoded, naming
/// the text, or written, and where a signal asks it to stop.
PreparedFacts prepare_text(const PrepareOptions& options);

inline constexpr const char* tokens_file = "tokens.bin";
/// Bytes of a token there.
uint64_t token_bytes(int64_t vocabulary);

bool is_prepared(const std::filesystem::path& directory);

/// Throws Error where prepared.json is damaged or tokens.bin has another size.
PreparedFacts read_prepared_facts(const std::filesystem::path& directory);

struct PreparedText {
  PreparedFacts facts;
  std::unique_ptr<Tokenizer> tokenizer;
  TokenSpan tokens;
  std::shared_ptr<const void> storage;
};

/// Throws Error where the directory is damaged; tokens.bin itself is not read.
PreparedText open_prepared(const std::filesystem::path& directory);

/// Opens it, and reads all of tokens.bin. Throws Error unless it is as it was written.
void verify_prepared(const std::filesystem::path& directory);

}  // namespace folio
