#include "folio/run/config.h"

#include <memory>
#include <string>
#include <vector>

#include "folio/io/output.h"
#include "verbs.h"

namespace folio {

Verb add_config(CLI::App& program) {
  CLI::App* verb = program.add_subcommand(
      "config", "Prints a whole config: every key, its value and what it means");
  auto options = std::make_shared<ConfigOptions>();
  options->add_to(*verb, "A YAML file; without one, the defaults");
  verb->footer("Example: folio config --set model.width=256 > my.yaml");
  return {verb, [options] {
            options->find_path();
            print(to_yaml(options->path.empty() ? parse_config("", "defaults", options->overrides)
                                                : load_config(options->path, options->overrides)));
          }};
}

}  // namespace folio
