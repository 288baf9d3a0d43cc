#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "folio/comm/launch.h"
#include "folio/inspect/run_hooks.h"
#include "folio/io/output.h"
#include "folio/tensor/error.h"
#include "verbs.h"

namespace folio {
namespace {

struct Options {
  ConfigOptions config;
  std::string run;
  bool resume = false;
  std::optional<int64_t> stop_at;
};

}  // namespace

Verb add_train(CLI::App& program) {
  CLI::App* verb = program.add_subcommand("train", "Trains a model into a new run directory");
  auto options = std::make_shared<Options>();
  options->config.add_to(*verb, "The config, a YAML file; not needed with --resume");
  verb->add_option("--run", options->run, "The run directory; by default runs/NAME-OF-CONFIG")
      ->type_name("DIR");
  verb->add_flag("--resume", options->resume,
                 "Continues --run from its newest undamaged checkpoint");
  verb->add_option("--stop-at", options->stop_at,
                   "Stops after this step, saving a checkpoint; continue with --resume")
      ->type_name("STEP");
  verb->footer(
      "Examples: folio train configs/shakespeare.yaml --run runs/first --set train.seed=7\n"
      "          folio train --resume --run runs/first\n"
      "          mpirun -np 4 folio train configs/shakespeare.yaml    (docs/clusters.md)");
  return {verb,
          [options] {
            options->config.find_path();
            FOLIO_CHECK(options->stop_at.value_or(1) >= 1, "--stop-at",
                        "{} is no step to stop after; it must be at least 1", *options->stop_at);
            make_output_optional();  // the result is the run directory
            Communicator& ranks = join_ranks();
            if (!ranks.is_root()) silence_output();
            train({.config = options->config.path,
                   .overrides = options->config.overrides,
                   .run = options->run,
                   .resume = options->resume,
                   .stop_at = options->stop_at.value_or(0)},
                  inspecting_hooks(), ranks);
          },
          /*on_all_ranks=*/true};
}

}  // namespace folio
