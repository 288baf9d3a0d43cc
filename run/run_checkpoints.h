// The checkpoints of a run: which are whole, which one a run continues from, which ones go.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace folio {

struct CheckpointFault {
  std::filesystem::path checkpoint;
  std::string fault;
};

/// Where a run continues.
struct ResumePoint {
  std::filesystem::path checkpoint;      // the newest that is whole; empty: there is none at all
  std::vector<CheckpointFault> damaged;  // the newer ones, and the best if it is damaged
  bool best_is_whole = false;
};

/// The best checkpoint counts as one of its step; where there is another of that step, the other is
/// taken. Throws Error that lists them if there are checkpoints but none is whole.
ResumePoint find_resume_point(const std::filesystem::path& run);

/// Removes the step checkpoints but for the newest `keep` of those up to `step`; 0 keeps all.
/// Later ones are of before a resume: damaged, and replaced when the run comes by. Throws Error for
/// one that cannot be removed.
void remove_old_checkpoints(const std::filesystem::path& run, int64_t step, int64_t keep);

}  // namespace folio
