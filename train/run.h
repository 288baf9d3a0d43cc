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
#include <memory>
#include <string>
#include <vector>

#include "folio/comm/communicator.h"
#include "folio/train/trainer.h"

namespace folio {

struct TrainOptions {
  std::filesystem::path config = {};  // may be empty when resuming: the run's own is used
  std::vector<std::string> overrides = {};
  std::filesystem::path run = {};  // empty: runs/NAME-OF-CONFIG, made unique with -2, -3, ...
  bool resume = false;
  int64_t stop_at = 0;  // stop after this step, with a checkpoint; 0: at the end
};

/// The `train` verb: everything from reading the config to the last checkpoint, reporting to the
/// terminal. Throws Error; a directory that holds files is refused unless resuming, and nothing in
/// it is touched; a run that another process trains is refused. All ranks call it; rank 0 alone
/// looks at `options`, prints and writes.
void train(const TrainOptions& options, Communicator& ranks = no_others());

}  // namespace folio
