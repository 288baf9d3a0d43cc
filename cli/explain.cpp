#include <fmt/core.h>

#include <filesystem>
#include <memory>
#include <string>

#include "folio/io/files.h"
#include "folio/io/output.h"
#include "folio/report/explain_page.h"
#include "folio/run/loaded_run.h"
#include "folio/tensor/error.h"
#include "verbs.h"

namespace folio {
namespace {

struct Options {
  std::string run, prompt, checkpoint = "last";
  std::filesystem::path out;  // empty: explain.html in the run
  double temperature = 0.8;
};

/// Writes the page and returns where it is. Throws Error before it writes.
std::filesystem::path write_explanation(const Options& options) {
  const auto loaded = load_run(options.run, options.checkpoint);
  const Explanation explanation = explain(as_language_model(*loaded->model, "folio explain"),
                                          *loaded->tokenizer, options.prompt, options.temperature);
  const std::filesystem::path out =
      options.out.empty() ? std::filesystem::path(options.run) / "explain.html" : options.out;
  FOLIO_CHECK(!std::filesystem::is_directory(out), out.string(),
              "is a directory; name a file with --out");
  replace_durably(out, explanation_page(explanation, {.run = options.run,
                                                      .step = loaded->progress.step,
                                                      .prompt = options.prompt,
                                                      .temperature = options.temperature}));
  return out;
}

}  // namespace

Verb add_explain(CLI::App& program) {
  CLI::App* verb = program.add_subcommand(
      "explain", "Writes an HTML page with the expected next tokens and the attention of a prompt");
  auto options = std::make_shared<Options>();
  add_run_options(*verb, options->run, options->checkpoint);
  verb->add_option("--prompt", options->prompt, "The text that the model reads")
      ->type_name("TEXT")
      ->required();
  verb->add_option("--temperature", options->temperature, "The temperature of sampling")
      ->type_name("X")
      ->capture_default_str();
  verb->add_option("--out", options->out,
                   "The file of the page; by default explain.html in the run")
      ->type_name("FILE");
  verb->footer("Example: folio explain runs/first --prompt \"To be, or not\"");
  return {verb, [options] { print(fmt::format("{}\n", write_explanation(*options).string())); }};
}

}  // namespace folio
