// Bundles of the black box: directories from which a refused step can be repeated without the run
// or its text.
//
//   RUN/blackbox/step_N/   N: the step, counted from 1
//     checkpoint/          a checkpoint (run/checkpoint.h) of the state before the step
//     batch.safetensors    the tensors of the batch: "tokens", "targets", ...
//     report.txt           the report as text
//     report.json          the report as JSON
//     step.json            seed, step, micro-batch and threads; loss, gradient norm
//                          and learning rate; what was found; size and checksum of each other
//                          file, and its own checksum
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>

#include "folio/inspect/blackbox.h"
#include "folio/run/checkpoint.h"
#include "folio/train/trainer.h"

namespace folio {

/// The step and path of the latest bundle in RUN/blackbox.
std::optional<std::pair<int64_t, std::filesystem::path>> latest_bundle(
    const std::filesystem::path& run);

/// A bundle without its model and tokenizer, which load_model() reads from `checkpoint`.
struct Bundle {
  std::filesystem::path directory, checkpoint;
  RefusedStep step;
  std::string where;   // Finding::where(), as recorded
  std::string report;  // report.txt
};

/// Reads the bundle `path` or, if it is a run, its latest bundle. Verifies every file and throws an
/// Error that names one that is missing or damaged.
Bundle read_bundle(const std::filesystem::path& path);

/// Examines a step that `trainer` refused because it is not finite, prints the report, writes the
/// bundle to RUN/blackbox and throws the Error that ends the run. `progress` is the state before
/// the step. The Error also reports a failure to write the bundle.
[[noreturn]] void stop_with_black_box(const std::filesystem::path& run, const Config& config,
                                      Trainer& trainer, Progress progress,
                                      const StepResult& result);

/// Reads the bundle, repeats its step and prints the report. Throws Error as read_bundle() does,
/// and if another op or layer is found than was recorded.
void replay(const std::filesystem::path& path);

}  // namespace folio
