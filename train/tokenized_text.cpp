#include "folio/train/tokenized_text.h"

#include "folio/data/synthetic.h"
#include "folio/tensor/error.h"

namespace folio {

TokenizedText tokenize_text(const Config& config, std::unique_ptr<Tokenizer> tokenizer) {
  if (config.data.text == synthetic_name) {
    if (!tokenizer) tokenizer = std::make_unique<SyntheticTokenizer>(config.data.vocabulary);
    return {std::move(tokenizer),
            synthetic_corpus(config.data.vocabulary, config.data.validation_fraction,
                             config.model.context)};
  }
  const std::filesystem::path path = find_text(config.data.text);
  const std::string text = read_file(path);
  if (!tokenizer) {
    FOLIO_CHECK(config.data.tokenizer == "char", "data.tokenizer", "{} is not known; use char",
                config.data.tokenizer);
    tokenizer = CharTokenizer::build(text, config.data.unknown, path.string());
  }
  Corpus corpus = make_corpus(path, text, *tokenizer, config.data.validation_fraction,
                              config.model.context);
  return {std::move(tokenizer), std::move(corpus)};
}

}  // namespace folio
