// Which checkpoint a run continues from, and which ones are removed.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace folio {

/// The checkpoint from which a run continues.
struct ResumePoint {
  std::filesystem::path checkpoint;  // the newest undamaged one; empty if the run has none
  /// What is wrong with newer checkpoints and with the best: "best/model.safetensors: it has 512
  /// bytes but state.json says 1024 (is it truncated?)".
  std::vector<std::string> damaged;
  bool best_is_whole = false;
};

/// The best checkpoint is a candidate too, after another one of the same step. Throws Error if
/// there are checkpoints but all are damaged.
ResumePoint find_resume_point(const std::filesystem::path& run);

/// Removes all step checkpoints up to `step` but the newest `keep` ones; keep = 0 removes none.
/// Later checkpoints, which were damaged when the run was resumed, are kept until the run replaces
/// them. Throws Error if one cannot be removed.
void remove_old_checkpoints(const std::filesystem::path& run, int64_t step, int64_t keep);

}  // namespace folio
