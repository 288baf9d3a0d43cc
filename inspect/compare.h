// The `compare` verb: do two settings differ by more than their seeds do?
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "folio/inspect/statistics.h"
#include "folio/run/config.h"

namespace folio {

/// Runs of one config but for the seed.
struct Setting {
  Config config;  // of its first run
  std::string text_hash;
  std::vector<std::string> runs;
  std::vector<uint64_t> seeds;
  std::vector<double> losses;  // the last validation loss of each
};

/// Groups finished runs by config, the seed and what only reports (where the text lies, threads,
/// logging, samples, checkpoints) left aside. Throws Error for a directory that is no run, for a
/// run that is not finished or has no validation loss, and for a seed that a setting has twice.
std::vector<Setting> read_settings(const std::vector<std::filesystem::path>& runs);

/// A table of the settings and a sentence for each pair of them.
std::string comparison(const std::vector<Setting>& settings);

}  // namespace folio
