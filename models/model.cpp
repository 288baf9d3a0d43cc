#include "folio/models/model.h"

namespace folio {

void ModelConfig::bind(Section& section) {
  section.add(
      "family", comment_with_words("", family.names()),
      [this](const YAML::Node& node, std::string_view where) {
        family.choose(family.names()[read_word(node, where, family.names(), {})], where);
      },
      [this] { return family.name(); });
  family->bind(section);
}

const LanguageModel& as_language_model(const Model& model, std::string_view purpose) {
  const auto* const language = dynamic_cast<const LanguageModel*>(&model);
  FOLIO_CHECK(language != nullptr, "model", "this family writes no text, which {} needs", purpose);
  return *language;
}

}  // namespace folio
