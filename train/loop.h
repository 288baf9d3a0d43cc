// The training loop: steps, evaluations, samples and checkpoints of a run directory, whose files
// are
//
//   config.yaml        the config with every default
//   text.json          the identity of the text, see text_identity.h
//   lock               empty; locked while a process trains, see run_lock.h
//   machine.json       the program and machine that last worked on the run, see machine.h
//   metrics.jsonl      see metrics.h
//   evaluation.json    of a finished run, see final_evaluation.h
//   samples/step_N.txt
//   tensorboard/       event files, if train.tensorboard is true
//   checkpoints/step_N/, checkpoints/best/   see checkpoint.h
//   blackbox/step_N/   of a step that was not finite, see blackbox_bundle.h
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "folio/comm/communicator.h"
#include "folio/run/checkpoint.h"
#include "folio/run/run_directory.h"
#include "folio/train/trainer.h"

namespace folio {

/// Functions that the program adds to the loop; each may be empty.
struct TrainHooks {
  /// Warnings about the config, printed before the first step.
  std::function<std::vector<std::string>(Trainer& trainer)> notes = {};
  /// FLOPs of forward and backward per token.
  std::function<double(Trainer& trainer)> flops_per_token = {};
  /// Called when a step is not finite, with the run directory and the progress before the step.
  /// It explains the step and throws the Error that ends the run.
  std::function<void(const std::filesystem::path& run, const Config& config, Trainer& trainer,
                     const Progress& progress, const StepResult& result)>
      on_non_finite = {};
};

/// Trains a run from its config to its last checkpoint and reports to the terminal. All ranks must
/// call it; only rank 0 reads `options`, prints and writes files. Throws Error; in particular if
/// the directory holds files and the run does not resume, which leaves them untouched, or if
/// another process trains the run.
void train(const TrainOptions& options, const TrainHooks& hooks = {},
           Communicator& ranks = single_process());

}  // namespace folio
