// The directory of a run: which one, whether it may be used, and its small files.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "folio/run/config.h"
#include "folio/run/run_checkpoints.h"
#include "folio/run/run_lock.h"
#include "folio/run/text_identity.h"

namespace folio {

struct TrainOptions {
  std::filesystem::path config = {};  // may be empty when resuming: the run's own is used
  std::vector<std::string> overrides = {};
  std::filesystem::path run = {};  // empty: runs/NAME-OF-CONFIG, made unique with -2, -3, ...
  bool resume = false;
  int64_t stop_at = 0;  // stop after this step, with a checkpoint; 0: at the end
};

/// What a call of train() will work on. Finding it out writes nothing but a continued run's lock.
struct OpenedRun {
  std::filesystem::path directory;
  RunLock lock;  // of a new run: taken by write_run_files()
  Config config;
  TextIdentity text;
  ResumePoint from;                       // its checkpoint is empty: from step 0
  std::vector<std::string> changed_keys;  // in which a continued run's config differs from before
};

/// Whether a directory is a run's: it has a config.yaml. Throws Error if the system does not say.
bool holds_run(const std::filesystem::path& directory);

/// Throws Error, saying what `directory` is instead, where it is no run's.
void require_run(const std::filesystem::path& directory);

/// Reads the config, finds the text and checks the directory: a new run's must not exist or hold no
/// files; a continued run's keeps its model, data and optimizer. Throws Error.
OpenedRun open_run(const TrainOptions& options);

/// Makes the directory where needed, and writes text.json, config.yaml and machine.json. Throws
/// Error; of a new run nothing is left then.
void write_run_files(OpenedRun& run, int ranks = 1);

}  // namespace folio
