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
  ConfigOptions config;
  std::string json;
  int64_t steps = 20;
};

}  // namespace

Verb add_profile(CLI::App& program) {
  CLI::App* verb = program.add_subcommand(
      "profile", "Measures the time of each op of a training step and the limits of this machine");
  auto options = std::make_shared<Options>();
  options->config.add_to(*verb);
  verb->add_option("--steps", options->steps, "The number of timed steps")
      ->type_name("N")
      ->check(whole_number<int64_t>(1, 1'000'000))
      ->capture_default_str();
  verb->add_option("--json", options->json, "Also writes the whole profile to this file")
      ->type_name("FILE");
  verb->footer("Example: folio profile configs/nanogpt_cpu.yaml");
  return {verb, [options] {
            const Profile result = profile(options->config.load(), options->steps);
            print(fmt::format("{}: {}", options->config.path, to_table(result)));
            if (!options->json.empty()) replace_durably(options->json, to_json(result));
          }};
}

}  // namespace folio
