// The black box's bundle: a refused step in a directory, to be repeated without the run or its
// text.
//
//   RUN/blackbox/step_N/   N: the step, counted from 1
//     checkpoint/          a whole checkpoint (run/checkpoint.h) of the state before the step
//     batch.safetensors    "inputs" and "targets", i32 (B, T)
//     report.txt           as printed
//     report.json          the same for programs
//     step.json            seed, step, micro-batch, loss settings and threads; loss, gradient norm
//                          and learning rate; what was found; size and checksum of each other
//                          file, and a checksum of itself
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>

#include "folio/inspect/blackbox.h"
#include "folio/train/trainer.h"

namespace folio {

/// The step and place of the latest bundle in RUN/blackbox.
std::optional<std::pair<int64_t, std::filesystem::path>> latest_bundle(
    const std::filesystem::path& run);

/// What a bundle holds besides model and tokenizer, which load_model() reads from `checkpoint`.
struct Bundle {
  std::filesystem::path directory, checkpoint;
  RefusedStep step;
  std::string where;   // Finding::where(), as recorded
  std::string report;  // report.txt
};

/// The bundle that `path` is or, of a run, the one of the latest step. Every file is checked;
/// throws Error that names the one that is missing or damaged.
Bundle read_bundle(const std::filesystem::path& path);

/// For a step that `trainer` refused because it is not finite: examines it, prints the report,
/// writes the bundle into RUN/blackbox, replacing one of the same step, and throws the Error that
/// ends the run. `progress` is that before the step. Where the bundle cannot be written, the Error
/// says so too.
[[noreturn]] void stop_with_black_box(const std::filesystem::path& run, const Config& config,
                                      Trainer& trainer, Progress progress,
                                      const StepResult& result);

}  // namespace folio
