// The directory of a run: which one, whether it may be used, and its small files.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "folio/train/config.h"
#include "folio/train/run.h"
#include "folio/train/text_identity.h"

namespace folio {

/// What a call of train() will work on. Finding it out writes nothing.
struct OpenedRun {
  std::filesystem::path directory;
  Config config;
  TextIdentity text;
  std::filesystem::path checkpoint;        // to continue from; empty: from step 0
  std::vector<std::string> changed_keys;   // in which a continued run's config differs from before
};

/// Reads the config, finds the text and checks the directory: a new run's must not exist or be
/// empty; a continued run's keeps its model, data and optimizer. Throws Error.
OpenedRun open_run(const TrainOptions& options);

/// Makes the directory where needed, and writes config.yaml, text.json and machine.json.
void write_run_files(const OpenedRun& run);

}  // namespace folio
