#include "folio/inspect/profile.h"

#include <fmt/core.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "folio/io/files.h"
#include "folio/io/output.h"
#include "folio/tensor/error.h"
#include "verbs.h"

namespace folio {
namespace {

struct Options {
  std::string config, json;
  std::vector<std::string> overrides;
  int64_t steps = 20;
};

}  // namespace

Verb add_profile(CLI::App& program) {
  CLI::App* verb = program.add_subcommand(
      "profile", "Where a training step's time goes, beside what this machine can do");
  auto options = std::make_shared<Options>();
  add_config_arguments(*verb, options->config, options->overrides);
  verb->add_option("--steps", options->steps, "Steps that are timed")
      ->type_name("N")
      ->check(whole_number<int64_t>(1, 1'000'000))
      ->capture_default_str();
  verb->add_option("--json", options->json, "Also writes everything to this file")
      ->type_name("FILE");
  verb->footer("Example: folio profile configs/nanogpt_cpu.yaml");
  return {verb, [options] {
            require_config(options->config, options->overrides);
            const Profile result =
                profile(load_config(options->config, options->overrides), options->steps);
            print(fmt::format("{}: {}", options->config, to_table(result)));
            if (!options->json.empty()) replace_durably(options->json, to_json(result));
            return 0;
          }};
}

}  // namespace folio
