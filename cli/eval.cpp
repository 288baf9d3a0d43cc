#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "folio/comm/launch.h"
#include "folio/io/output.h"
#include "folio/run/loaded_run.h"
#include "folio/run/text_identity.h"
#include "folio/tensor/error.h"
#include "folio/train/evaluate.h"
#include "folio/train/rank_agreement.h"
#include "verbs.h"

namespace folio {
namespace {

struct Options {
  std::string run, split = "val", checkpoint = "last";
};

void evaluate_run(const Options& options) {
  Communicator& ranks = join_ranks();
  if (!ranks.is_root()) silence_output();
  const auto loaded = load_run(options.run, options.checkpoint);
  if (ranks.size() > 1) apply_config(loaded->config, ranks);
  Config& config = loaded->config;
  config.data.text = find_run_text(options.run, config).path.string();
  const std::unique_ptr<Task> task = make_task(config);
  const std::unique_ptr<Tokenizer> tokenizer = task->open(std::move(loaded->tokenizer));
  const Split split = options.split == "val" ? Split::validation : Split::train;
  const std::unique_ptr<DataSource> source = task->source(split);
  FOLIO_CHECK(
      source, "eval",
      "this run has no validation split (data.validation_fraction is 0); use --split train");
  Tape tape(loaded->parameters.device());
  const Evaluation result =
      evaluate(*task, *loaded->model, tape, *source, config.train.batch / config.train.accumulate,
               /*max_batches=*/0, ranks);
  nlohmann::ordered_json line = {{"split", options.split},
                                 {"loss", result.loss},
                                 {"perplexity", result.perplexity()},
                                 {"tokens", result.targets}};
  for (const auto& [name, mean] : result.means) {
    if (name != "loss") line[name] = mean;
  }
  const auto bytes = task->text_bytes(split, *tokenizer);
  if (const auto bits = result.bits_per_byte(bytes)) line["bits_per_byte"] = *bits;
  print(line.dump() + "\n");
}

}  // namespace

Verb add_eval(CLI::App& program) {
  CLI::App* verb = program.add_subcommand(
      "eval", "Measures the loss over a whole split and prints a line of JSON");
  auto options = std::make_shared<Options>();
  add_run_options(*verb, options->run, options->checkpoint);
  verb->add_option("--split", options->split, "Which part of the run's text: val or train")
      ->type_name("SPLIT")
      ->check(CLI::IsMember({"val", "train"}))
      ->capture_default_str();
  verb->footer("Example: folio eval runs/first --split train");
  return {verb, [options] { evaluate_run(*options); },
          /*on_all_ranks=*/true};
}

}  // namespace folio
