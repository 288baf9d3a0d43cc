#include "folio/data/data_config.h"

#include <fmt/format.h>

#include "folio/data/synthetic.h"

namespace folio {

void DataConfig::bind(Section& section) {
  section
      .text("text", text, false,
            "a path, a directory of folio prepare, a name in the data cache, or synthetic: random "
            "tokens")
      .changeable()
      .incidental();  // texts are compared by their hashes
  section.word("tokenizer", tokenizer, {"char", "bpe", std::string(synthetic_name)},
               "of a prepared text the one that it was prepared with");
  section.integer("vocabulary", vocabulary, 1, 10'000'000,
                  "different tokens: of synthetic, and of bpe at most, where the text is not "
                  "prepared");
  section.choice<UnknownCharacter>(
      "unknown_character", unknown,
      {{"error", UnknownCharacter::error}, {"replace", UnknownCharacter::replace}},
      "one that the tokenizer lacks");
  section.number("validation_fraction", validation_fraction, fraction,
                 "of the text, at its end; 0: no validation");
  section.choice<Sampling>("sampling", sampling,
                           {{"random", Sampling::random}, {"shuffled", Sampling::shuffled}},
                           "at random offsets, or by epochs");
  section.rule("tokenizer", "text", [this]() -> std::string {
    if ((text == synthetic_name) == (tokenizer == synthetic_name)) return "";
    return fmt::format(
        "is {} but text is {}; random tokens need synthetic in both, a text in neither", tokenizer,
        shown(text));
  });
  section.rule("vocabulary", "tokenizer", [this]() -> std::string {
    if (tokenizer != "bpe" || vocabulary > 256) return "";
    return fmt::format("{} is too few: bpe needs at least 257, for the bytes and the end of a text",
                       vocabulary);
  });
}

}  // namespace folio
