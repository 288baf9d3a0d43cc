// Opens the directory of a run and writes its small files.
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

/// The run that a call of train() works on. Opening it writes nothing except a resumed run's lock.
struct OpenedRun {
  std::filesystem::path directory;
  RunLock lock;  // of a new run: write_run_files() takes it
  Config config;
  TextIdentity text;
  ResumePoint from;                       // without a checkpoint: from step 0
  std::vector<std::string> changed_keys;  // that a resumed run changes in its config
};

/// Whether a directory is a run's, which has a config.yaml. Throws Error if it cannot be accessed.
bool holds_run(const std::filesystem::path& directory);

/// Throws Error, with what `directory` is instead, unless it is a run's.
void require_run(const std::filesystem::path& directory);

/// Reads the config, finds the text and checks the directory. A new run's directory must be empty
/// or not exist; a resumed run may change only keys that are changeable. Throws Error.
OpenedRun open_run(const TrainOptions& options);

/// Creates the directory if needed and writes text.json, config.yaml and machine.json. Throws
/// Error, after removing what it wrote for a new run.
void write_run_files(OpenedRun& run, int ranks = 1);

}  // namespace folio
