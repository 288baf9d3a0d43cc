// Texts that `folio prepare` has tokenized: directories with tokens.bin (16 or 32 bits per token,
// little-endian), tokenizer.json, and the metadata prepared.json. tokens.bin is memory-mapped, so a
// text may be larger than memory.
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
  std::vector<std::filesystem::path> texts = {};  // in order
  std::string tokenizer = "bpe";                  // char, bpe, or the path of a tokenizer.json
  int64_t vocabulary = 4096;                      // the maximum for bpe
  std::filesystem::path out = {};                 // must be new or empty
};

/// The content of prepared.json.
struct PreparedFacts {
  std::string tokenizer;  // Tokenizer::kind()
  std::string tokenizer_hash;
  int64_t vocabulary = 0;
  int64_t tokens = 0;
  int64_t bytes = 0;  // of the texts
  FileStamp stamp;    // of tokens.bin
};

/// Learns a tokenizer from the texts, unless one is given, encodes the texts and writes the
/// directory atomically. Texts are separated by the end-of-text token if the tokenizer has one. bpe
/// learns from at most 2^30 bytes, which are evenly spread. Memory is needed for several pieces of
/// 8 MB and for the distinct words. Throws Error, naming the file, if a text cannot be read or
/// encoded or the directory cannot be written, and if a signal requests a stop.
PreparedFacts prepare_text(const PrepareOptions& options);

inline constexpr const char* tokens_file = "tokens.bin";
/// The number of bytes of a token in tokens.bin.
uint64_t token_bytes(int64_t vocabulary);

bool is_prepared(const std::filesystem::path& directory);

/// Throws Error if prepared.json is damaged or tokens.bin has another size.
PreparedFacts read_prepared_facts(const std::filesystem::path& directory);

struct PreparedText {
  PreparedFacts facts;
  std::unique_ptr<Tokenizer> tokenizer;
  TokenSpan tokens;
  std::shared_ptr<const void> storage;
};

/// Throws Error if the directory is damaged. tokens.bin is mapped but not read.
PreparedText open_prepared(const std::filesystem::path& directory);

/// Throws Error if open_prepared() does or if the checksum of tokens.bin is wrong.
void verify_prepared(const std::filesystem::path& directory);

}  // namespace folio
