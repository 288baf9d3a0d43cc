#include "folio/data/load_text.h"

#include <filesystem>
#include <string>
#include <unordered_map>
#include <utility>

#include "folio/data/bpe_tokenizer.h"
#include "folio/data/prepared_text.h"
#include "folio/data/synthetic.h"
#include "folio/io/files.h"
#include "folio/tensor/error.h"

namespace folio {
namespace {

std::unique_ptr<Tokenizer> build_tokenizer(const DataConfig& data, const std::string& text,
                                           const std::filesystem::path& path) {
  if (data.tokenizer == "char") return CharTokenizer::build(text, data.unknown, path.string());
  std::unordered_map<std::string, int64_t> words;
  BpeTokenizer::count_words(words, text, path.string());
  return BpeTokenizer::learn(words, data.vocabulary);
}

TokenizedText take_prepared(const DataConfig& data, int64_t context,
                            const std::filesystem::path& path,
                            std::unique_ptr<Tokenizer> tokenizer) {
  PreparedText prepared = open_prepared(path);
  FOLIO_CHECK(
      prepared.facts.tokenizer == data.tokenizer, path.string(),
      "was prepared with the tokenizer {}, but the config names {}; change its tokenizer to {}",
      prepared.facts.tokenizer, data.tokenizer, prepared.facts.tokenizer);
  if (!tokenizer) {
    tokenizer = std::move(prepared.tokenizer);
  } else {
    FOLIO_CHECK(tokenizer->hash() == prepared.tokenizer->hash(), path.string(),
                "was prepared with another tokenizer than the run's; name the directory that the "
                "run began with");
  }
  return {std::move(tokenizer), split_corpus(path, prepared.facts.bytes, prepared.tokens,
                                             prepared.storage, data.validation_fraction, context)};
}

}  // namespace

TokenizedText tokenize_text(const DataConfig& data, int64_t context, std::string_view where,
                            std::unique_ptr<Tokenizer> tokenizer) {
  if (data.text == synthetic_name) {
    if (!tokenizer) tokenizer = std::make_unique<SyntheticTokenizer>(data.vocabulary);
    return {std::move(tokenizer),
            synthetic_corpus(data.vocabulary, data.validation_fraction, context)};
  }
  const std::filesystem::path path = find_text(data.text, where);
  if (is_prepared(path)) return take_prepared(data, context, path, std::move(tokenizer));
  const std::string text = read_file(path);
  if (!tokenizer) tokenizer = build_tokenizer(data, text, path);
  Corpus corpus = make_corpus(path, text, *tokenizer, data.validation_fraction, context);
  return {std::move(tokenizer), std::move(corpus)};
}

}  // namespace folio
