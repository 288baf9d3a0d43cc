// The `compare` verb: tests whether settings differ by more than seeds do.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "folio/inspect/welch_test.h"
#include "folio/run/config.h"

namespace folio {

/// Runs of the same config with different seeds.
struct Setting {
  Config config;  // of the first run
  std::string text_hash;
  std::vector<std::string> runs;
  std::vector<uint64_t> seeds;
  std::vector<double> losses;  // the last validation losses
};

/// Groups finished runs by config, ignoring the seed and keys that do not affect the loss (the path
/// of the text, threads, logging, samples, checkpoints). Throws Error for a directory that is not a
/// run, for a run that is unfinished or has no validation loss, and for a repeated seed.
std::vector<Setting> read_settings(const std::vector<std::filesystem::path>& runs);

/// A table of the settings and a sentence for each pair of them.
std::string comparison(const std::vector<Setting>& settings);

}  // namespace folio
