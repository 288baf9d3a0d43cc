// The training loop. It writes the run directory:
//
//   config.yaml      resolved, with every default
//   text.json        identifies the training text, see text_identity.h
//   lock             empty; held while a process trains, see run_lock.h
//   machine.json     the program and the machine that last trained the run, see machine.h
//   metrics.jsonl    see metrics.h
//   evaluation.json  the result of a finished run, see final_evaluation.h
//   samples/step_N.txt
//   tensorboard/     event files, if train.tensorboard is on
//   checkpoints/step_N/, checkpoints/best/   see checkpoint.h
//   blackbox/step_N/   a step that was not finite, see blackbox_bundle.h
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

/// Functions that the program provides; each may be empty.
struct TrainHooks {
  /// Warnings about the config, printed before the first step.
  std::function<std::vector<std::string>(Trainer& trainer)> notes = {};
  /// FLOPs of the forward and backward passes per token.
  std::function<double(Trainer& trainer)> flops_per_token = {};
  /// Called when a step is not finite, with the progress before the step. Throws the Error that
  /// ends the run.
  std::function<void(const std::filesystem::path& run, const Config& config, Trainer& trainer,
                     const Progress& progress, const StepResult& result)>
      on_non_finite = {};
};

/// The `train` verb: from reading the config to the last checkpoint, with output to the terminal.
/// Throws Error as open_run() and Trainer do, and if training fails. All ranks must call it; only
/// rank 0 reads `options`, prints and writes.
void train(const TrainOptions& options, const TrainHooks& hooks = {},
           Communicator& ranks = single_process());

}  // namespace folio
