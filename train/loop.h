// A run directory, and training into it.
//
//   config.yaml      resolved, with every default
//   text.json        which text it learns from, see text_identity.h
//   lock             empty; held while a process trains, see run_lock.h
//   machine.json     which program and machine last worked on it, see machine.h
//   metrics.jsonl    see metrics.h
//   evaluation.json  of a finished run, see final_evaluation.h
//   samples/step_N.txt
//   tensorboard/     event files, if train.tensorboard is on
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

/// What the program adds to a training; each may be empty.
struct TrainHooks {
  /// Lines that tell before the first step what in the config is hardly meant so.
  std::function<std::vector<std::string>(Trainer& trainer)> notes = {};
  /// FLOPs of forward and backward for each token.
  std::function<double(Trainer& trainer)> flops_per_token = {};
  /// Called when a step is not finite, with the run directory and the progress before the step.
  /// It explains the step and throws the Error that ends the run.
  std::function<void(const std::filesystem::path& run, const Config& config, Trainer& trainer,
                     const Progress& progress, const StepResult& result)>
      on_non_finite = {};
};

/// The `train` verb: everything from reading the config to the last checkpoint, reporting to the
/// terminal. Throws Error; a directory that holds files is refused unless resuming, and nothing in
/// it is touched; a run that another process trains is refused. All ranks call it; rank 0 alone
/// looks at `options`, prints and writes.
void train(const TrainOptions& options, const TrainHooks& hooks = {},
           Communicator& ranks = single_process());

}  // namespace folio
