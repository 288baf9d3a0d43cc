#include "folio/tasks/task.h"

#include <utility>

#include "folio/data/load_text.h"

namespace folio {

std::unique_ptr<Tokenizer> Task::open(std::unique_ptr<Tokenizer> tokenizer) {
  TokenizedText text =
      tokenize_text(inputs_.data, inputs_.context, "data.text", std::move(tokenizer));
  corpus_ = std::move(text.corpus);
  return std::move(text.tokenizer);
}

std::string Task::sample_text(const Batch& batch, int64_t sample,
                              const Tokenizer& tokenizer) const {
  const std::vector<int32_t> tokens = batch.part(sample, 1)["tokens"].to_vector<int32_t>();
  return tokenizer.decode(tokens);
}

void TaskConfig::bind(Section& section) {
  section.add(
      "name", comment_with_words("", kind.names()),
      [this](const YAML::Node& node, std::string_view where) {
        kind.choose(kind.names()[read_word(node, where, kind.names(), {})], where);
      },
      [this] { return kind.name(); });
  kind->bind(section);
}

}  // namespace folio
