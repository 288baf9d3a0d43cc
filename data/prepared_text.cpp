#include "folio/data/prepared_text.h"

#include <bit>
#include <nlohmann/json.hpp>

#include "folio/data/corpus.h"
#include "folio/data/tokenizer_file.h"
#include "folio/io/mapped_file.h"
#include "folio/tensor/error.h"

namespace folio {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t most_facts_bytes = 1 << 20;
constexpr std::string_view advice = "prepare the text anew (folio prepare)";

static_assert(std::endian::native == std::endian::little, "tokens.bin is read as it lies");

}  // namespace

uint64_t token_bytes(int64_t vocabulary) { return vocabulary <= 1 << 16 ? 2 : 4; }

bool is_prepared(const fs::path& directory) {
  std::error_code ignored;
  return fs::exists(directory / prepared_file, ignored);
}

PreparedFacts read_prepared_facts(const fs::path& directory) {
  const fs::path path = directory / prepared_file;
  PreparedFacts facts;
  try {
    const auto json = nlohmann::json::parse(read_whole(path, most_facts_bytes));
    facts.tokenizer = json.at("tokenizer").get<std::string>();
    facts.tokenizer_hash = json.at("tokenizer_hash").get<std::string>();
    facts.vocabulary = json.at("vocabulary").get<int64_t>();
    facts.tokens = json.at("tokens").get<int64_t>();
    facts.bytes = json.at("bytes").get<int64_t>();
    facts.stamp.checksum = std::stoull(json.at("checksum").get<std::string>(), nullptr, 16);
  } catch (const nlohmann::json::exception&) {
    fail(path.string(), fmt::format("is damaged, or of another program; {}", advice));
  } catch (const std::logic_error&) {  // of stoull
    fail(path.string(), fmt::format("is damaged: the checksum is no number; {}", advice));
  }
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
