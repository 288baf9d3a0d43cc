#include <fmt/core.h>

#include <memory>

#include "folio/train/commands.h"
#include "folio/train/explain.h"
#include "folio/train/output.h"

namespace folio {

Verb add_explain(CLI::App& program) {
  CLI::App* verb = program.add_subcommand(
      "explain", "One HTML page: what a model expects after each token, and where it looks");
  auto options = std::make_shared<ExplainOptions>();
  verb->add_option("run", options->run, "The run directory")->type_name("RUN")->required();
  verb->add_option("--prompt", options->prompt, "The text that it reads")
      ->type_name("TEXT")
      ->required();
  verb->add_option("--temperature", options->temperature, "That sampling would use")
      ->type_name("X")
      ->capture_default_str();
  verb->add_option("--checkpoint", options->checkpoint, "last, best or a step")
      ->type_name("WHICH")
      ->capture_default_str();
  verb->add_option("--out", options->out, "The page; without it explain.html in the run")
      ->type_name("FILE");
  verb->footer("Example: folio explain runs/first --prompt \"To be, or not\"");
  return {verb, [options] {
            print(fmt::format("{}\n", write_explanation(*options).string()));
            return 0;
          }};
}

}  // namespace folio
