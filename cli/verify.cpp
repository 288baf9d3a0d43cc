#include <fmt/core.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <iterator>
#include <memory>
#include <string>

#include "folio/data/prepared_text.h"
#include "folio/io/output.h"
#include "folio/run/checkpoint_state.h"
#include "folio/run/run_directory.h"
#include "folio/tensor/error.h"
#include "verbs.h"

namespace folio {
namespace {

namespace fs = std::filesystem;

/// Verifies a checkpoint and describes it.
std::string verified(const fs::path& checkpoint, bool is_best) {
  verify_checkpoint(checkpoint);
  const CheckpointState state = read_state(checkpoint);
  double bytes = 0.0;
  for (const auto& [name, stamp] : state.files) bytes += static_cast<double>(stamp.bytes);
  return fmt::format("whole, {}{}", human_bytes(bytes),
                     is_best ? fmt::format(", of step {}", state.progress.step) : "");
}

void verify(const fs::path& run) {
  if (is_prepared(run)) {
    verify_prepared(run);
    const PreparedFacts facts = read_prepared_facts(run);
    return print(fmt::format("{}: whole, {} tokens, {}\n", run.string(), grouped(facts.tokens),
                             human_bytes(static_cast<double>(facts.stamp.bytes))));
  }
  auto checkpoints = list_checkpoints(run);
  if (const auto best = best_checkpoint(run)) checkpoints.emplace_back(-1, *best);
  if (checkpoints.empty()) require_run(run);
  FOLIO_CHECK(!checkpoints.empty(), run.string(),
              "the run has no checkpoints; train it first, with train.checkpoint_every above 0");
  size_t width = 0;
  for (const auto& [step, path] : checkpoints) {
    width = std::max(width, path.filename().string().size());
  }
  int64_t damaged = 0;
  for (const auto& [step, path] : checkpoints) {
    std::string result;
    try {
      result = verified(path, step < 0);
    } catch (const Error& error) {  // the other checkpoints are verified all the same
      ++damaged;
      result = fmt::format("damaged: {}: {}", fs::path(error.where()).filename().string(),
                           error.message());
    }
    print(fmt::format("{:<{}}  {}\n", path.filename().string(), width, result));
  }
  FOLIO_CHECK(damaged < std::ssize(checkpoints), run.string(),
              "no checkpoint is whole; bring one back from a copy, or start a new run");
  FOLIO_CHECK(
      damaged == 0, run.string(),
      "{} of {} checkpoints {} damaged; folio train --resume continues from the newest that "
      "is whole",
      damaged, checkpoints.size(), damaged == 1 ? "is" : "are");
}

}  // namespace

Verb add_verify(CLI::App& program) {
  CLI::App* verb = program.add_subcommand(
      "verify", "Verifies the checksums of every checkpoint of a run, or of a prepared text");
  auto run = std::make_shared<std::string>();
  verb->add_option("run", *run, "The directory of a run or of a prepared text")
      ->type_name("RUN")
      ->required();
  verb->footer("Example: folio verify runs/first");
  return {verb, [run] { verify(*run); }};
}

}  // namespace folio
