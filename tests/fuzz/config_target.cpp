// YAML configs. What is accepted must come back the same from to_yaml().
#include <filesystem>
#include <string>
#include <string_view>

#include "folio/io/files.h"
#include "folio/run/config.h"
#include "fuzz/target.h"

namespace folio {
namespace {

void run(std::string_view input) {
  const Config config = parse_config(std::string(input), "x.yaml");
  const Config again = parse_config(to_yaml(config), "again.yaml");
  expect(differing_keys(config, again).empty(), "to_yaml() does not read back to the same config");
}

}  // namespace

FuzzTarget config_target() {
  FuzzTarget target;
  target.name = "config";
  target.memory = {1024, 1 << 20};
  target.run = run;
  target.corpus = {"",
                   to_yaml(Config()),
                   "model: {layers: 2, heads: 2, width: 16}\n",
                   "train:\n  sample_at: [0, 5]\n  sample_prompt: \"ROMEO:\\n\\x41\"\n",
                   "optimizer: &o\n  betas: [0.9, 0.99]\nschedule: {warmup: 1_0, final_lr: .5}\n",
                   "data:\n  text: |\n    a\n    b\n  tokenizer: 'it''s'\n"};
  for (const auto& entry : std::filesystem::directory_iterator(FOLIO_SOURCE_DIR "/configs")) {
    if (entry.path().extension() == ".yaml") target.corpus.push_back(read_file(entry.path()));
  }
  target.dictionary = {"---\n",    "...\n",
                       "? ",       ": ",
                       "- ",       "&a ",
                       "*a",       "!!int ",
                       "!",        "<<: ",
                       "|\n",      ">-\n",
                       "%YAML ",   "# ",
                       "\"",       "'",
                       "\\x00",    "\\u00",
                       "~",        "null",
                       "true",     ".inf",
                       ".nan",     "0x10",
                       "1e-3",     "[",
                       "]",        "{",
                       "}",        ", ",
                       "\n  ",     "\t",
                       "\r\n",     "\xEF\xBB\xBF",
                       "\xC2\x85", "\xE2\x80\xA8"};
  Config config;
  for (const Section& section : sections_of(config)) {
    for (const Field& field : section.fields()) {
      target.dictionary.push_back(field.key);
      target.dictionary.push_back(section.name() + ":\n  " + field.key + ": ");
    }
  }
  return target;
}

}  // namespace folio
