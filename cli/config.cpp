#include "folio/run/config.h"

#include <memory>
#include <string>
#include <vector>

#include "folio/io/output.h"
#include "verbs.h"

namespace folio {

Verb add_config(CLI::App& program) {
  struct Options {
    std::string config;
    std::vector<std::string> overrides;
  };
  CLI::App* verb = program.add_subcommand(
      "config", "Prints a whole config: every key, its value and what it means");
  auto options = std::make_shared<Options>();
  verb->add_option("config", options->config, "A YAML file; without one, the defaults")
      ->type_name("CONFIG");
  add_overrides(*verb, options->overrides);
  verb->footer("Example: folio config --set model.width=256 > my.yaml");
  return {
      verb, [options] {
        take_config(options->config, options->overrides);
        print(to_yaml(options->config.empty() ? parse_config("", "defaults", options->overrides)
                                              : load_config(options->config, options->overrides)));
        return 0;
      }};
}

}  // namespace folio
