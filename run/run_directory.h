// Opens the directory of a new or resumed run, and writes its small files.
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
  std::filesystem::path config = {};  // empty, if resuming: the run's own config
  std::vector<std::string> overrides = {};
  std::filesystem::path run = {};  // empty: runs/NAME-OF-CONFIG, made unique with -2, -3, ...
  bool resume = false;
  int64_t stop_at = 0;  // the step after which to save a checkpoint and stop; 0: the last
};

/// A run that train() has opened.
struct OpenedRun {
  std::filesystem::path directory;
  RunLock lock;  // for a new run, acquired by write_run_files()
  Config config;
  TextIdentity text;
  ResumePoint from;                       // no checkpoint: begin at step 0
  std::vector<std::string> changed_keys;  // of a resumed run's config
};

/// Whether `directory` has a config.yaml. Throws Error if that cannot be determined.
bool holds_run(const std::filesystem::path& directory);

/// Throws Error if `directory` is not a run directory.
void require_run(const std::filesystem::path& directory);

/// Reads the config, finds the text and checks the directory, writing nothing but a resumed run's
/// lock. Throws Error if a new run's directory contains files, if a resumed run's config changes
/// keys that are not changeable, or if another process trains the run.
OpenedRun open_run(const TrainOptions& options);

/// Creates the directory if needed, and writes text.json, config.yaml and machine.json. On failure,
/// removes what it created for a new run and throws Error.
void write_run_files(OpenedRun& run, int ranks);

}  // namespace folio
