// The checkpoints of a run: which are intact, which one a run resumes from, and which are removed.
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

/// The checkpoint that a run resumes from.
struct ResumePoint {
  std::filesystem::path checkpoint;      // the newest intact one; empty if there are none
  std::vector<CheckpointFault> damaged;  // newer ones, and the best if it is damaged
  bool best_is_whole = false;
};

/// The best checkpoint is a candidate too, but a step checkpoint of the same step is preferred.
/// Throws Error that lists the checkpoints if there are some but none is intact.
ResumePoint find_resume_point(const std::filesystem::path& run);

/// Removes step checkpoints up to `step` except for the newest `keep`; 0 keeps all. Those of later
/// steps are damaged ones that a resume passed over; the run replaces them when it reaches their
/// steps. Throws Error for one that cannot be removed.
void remove_old_checkpoints(const std::filesystem::path& run, int64_t step, int64_t keep);

}  // namespace folio
