#include <fmt/core.h>

#include <cstdint>
#include <memory>
#include <string>

#include "folio/data/prepared_text.h"
#include "folio/io/output.h"
#include "folio/tensor/error.h"
#include "verbs.h"

namespace folio {

Verb add_prepare(CLI::App& program) {
  CLI::App* verb =
      program.add_subcommand("prepare", "Tokenizes texts of any size into a directory to train on");
  auto options = std::make_shared<PrepareOptions>();
  verb->add_option("text", options->texts,
                   "Text files; the end-of-text token separates them if the tokenizer has one")
      ->type_name("TEXT")
      ->required();
  verb->add_option("--tokenizer", options->tokenizer,
                   "char, bpe, or the path of a tokenizer.json of a checkpoint or of GPT-2")
      ->type_name("KIND|FILE")
      ->capture_default_str();
  verb->add_option("--vocab-size", options->vocabulary,
                   "The largest vocabulary of bpe; at least 257: the bytes and the end of a text")
      ->type_name("N")
      ->check(whole_number<int64_t>(257, 1'000'000))
      ->capture_default_str();
  verb->add_option("--out", options->out, "The new directory")->type_name("DIR")->required();
  verb->footer(
      "Example: folio prepare shakespeare.txt --vocab-size 1024 --out prepared\n"
      "         folio train configs/shakespeare.yaml --set data.text=./prepared "
      "data.tokenizer=bpe");
  return {
      verb, [options] {
        const PreparedFacts facts = prepare_text(*options);
        const std::string out = options->out.string();
        print(fmt::format("{}: {} tokens, {} different ({}), of {} bytes: {:.2f} bytes a token\n",
                          out, grouped(facts.tokens), grouped(facts.vocabulary), facts.tokenizer,
                          grouped(facts.bytes),
                          static_cast<double>(facts.bytes) / static_cast<double>(facts.tokens)));
        const bool plain_name = out.find('/') == out.npos;
        print(fmt::format("next folio train CONFIG --set data.text={} data.tokenizer={}\n",
                          shell_quoted((plain_name ? "./" : "") + out), facts.tokenizer));
      }};
}

}  // namespace folio
