#include "folio/data/prepared_text.h"

#include <fmt/core.h>

#include <bit>
#include <optional>
#include <span>
#include <string_view>
#include <system_error>

#include "folio/data/corpus.h"
#include "folio/data/tokenizer.h"
#include "folio/io/json.h"
#include "folio/io/mapped_file.h"
#include "folio/tensor/error.h"

namespace folio {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t most_facts_bytes = 1 << 20;
constexpr std::string_view advice = "prepare the text again (folio prepare)";

static_assert(std::endian::native == std::endian::little, "tokens.bin is little-endian");

}  // namespace

uint64_t token_bytes(int64_t vocabulary) { return vocabulary <= 1 << 16 ? 2 : 4; }

bool is_prepared(const fs::path& directory) {
  std::error_code ignored;
  return fs::exists(directory / prepared_file, ignored);
}

PreparedFacts read_prepared_facts(const fs::path& directory) {
  const fs::path path = directory / prepared_file;
  const std::string text = read_file(path, most_facts_bytes);
  // In files of 2026, "checksum" is that of tokens.bin, and prepared.json has no checksum itself.
  const bool is_sealed = text.find("\"tokens_checksum\"") != text.npos;
  if (is_sealed && !seal_fits(text)) {
    fail(path.string(), fmt::format("is damaged: {}", seal_fault), advice);
  }
  const std::optional<Json> json = parse_json(text);
  if (!json) fail(path.string(), "is damaged, or of another program", advice);
  const JsonObject object(*json, path.string(), advice);
  PreparedFacts facts;
  facts.tokenizer = object.text("tokenizer");
  facts.tokenizer_hash = object.text("tokenizer_hash");
  facts.vocabulary = object.integer("vocabulary");
  facts.tokens = object.integer("tokens");
  facts.bytes = object.integer("bytes");
  facts.stamp.checksum = object.checksum(is_sealed ? "tokens_checksum" : "checksum");
  FOLIO_CHECK(facts.vocabulary >= 1 && facts.vocabulary <= INT32_MAX && facts.tokens >= 1 &&
                  facts.tokens <= INT64_MAX / 4 && facts.bytes >= 0,
              path.string(), "is damaged: {} tokens of a vocabulary of {} cannot be; {}",
              facts.tokens, facts.vocabulary, advice);
  facts.stamp.bytes = static_cast<uint64_t>(facts.tokens) * token_bytes(facts.vocabulary);
  const fs::path tokens = directory / tokens_file;
  const uint64_t size = FileReader(tokens).size();
  FOLIO_CHECK(size == facts.stamp.bytes, tokens.string(),
              "has {} bytes, but {} tokens need {} (is it truncated?); {}", size, facts.tokens,
              facts.stamp.bytes, advice);
  return facts;
}

PreparedText open_prepared(const fs::path& directory) {
  PreparedText text{read_prepared_facts(directory), nullptr, {}, nullptr};
  const fs::path tokenizer = directory / tokenizer_file;
  text.tokenizer = read_tokenizer(tokenizer);
  FOLIO_CHECK(text.tokenizer->kind() == text.facts.tokenizer &&
                  text.tokenizer->vocabulary() == text.facts.vocabulary,
              tokenizer.string(), "has {} tokens ({}), but {} says {} ({}); {}",
              text.tokenizer->vocabulary(), text.tokenizer->kind(), prepared_file,
              text.facts.vocabulary, text.facts.tokenizer, advice);
  FOLIO_CHECK(text.tokenizer->hash() == text.facts.tokenizer_hash, tokenizer.string(),
              "its hash is {}, but {} says {}: it is not the one that made the tokens; {}",
              text.tokenizer->hash(), prepared_file, text.facts.tokenizer_hash, advice);
  const auto file = std::make_shared<const MappedFile>(directory / tokens_file);
  const auto count = static_cast<size_t>(text.facts.tokens);
  if (token_bytes(text.facts.vocabulary) == 2) {
    text.tokens = std::span(static_cast<const uint16_t*>(file->data()), count);
  } else {
    text.tokens = std::span(static_cast<const int32_t*>(file->data()), count);
  }
  text.tokens = text.tokens.checked(text.facts.vocabulary);
  text.storage = file;
  return text;
}

void verify_prepared(const fs::path& directory) {
  const PreparedFacts facts = open_prepared(directory).facts;
  const fs::path tokens = directory / tokens_file;
  FOLIO_CHECK(stamp_of(tokens) == facts.stamp, tokens.string(),
              "damaged: its checksum is not that of {}; {}", prepared_file, advice);
}

}  // namespace folio
