#include <memory>
#include <string>

#include "folio/inspect/blackbox_bundle.h"
#include "verbs.h"

namespace folio {

Verb add_replay(CLI::App& program) {
  CLI::App* verb = program.add_subcommand(
      "replay", "Repeats a step that was not finite and shows the first op with a bad result");
  auto path = std::make_shared<std::string>();
  verb->add_option("bundle", *path, "A run, or a bundle RUN/blackbox/step_N moved anywhere")
      ->type_name("RUN|BUNDLE")
      ->required();
  verb->footer("Example: folio replay runs/first");
  return {verb, [path] { replay(*path); }};
}

}  // namespace folio
