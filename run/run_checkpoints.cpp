#include "folio/run/run_checkpoints.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "folio/io/pending_directory.h"
#include "folio/run/checkpoint.h"
#include "folio/tensor/error.h"

namespace folio {
namespace fs = std::filesystem;

ResumePoint find_resume_point(const fs::path& run) {
  const fs::path directory = run / "checkpoints";
  ResumePoint point;
  int64_t newest = -1;
  const auto consider = [&](const fs::path& checkpoint) {
    try {
      verify_checkpoint(checkpoint);
      newest = read_progress(checkpoint).step;
      point.checkpoint = checkpoint;
    } catch (const Error& error) {  // an older checkpoint may be undamaged
      point.damaged.push_back(
          fmt::format("{}: {}", fs::path(error.where()).lexically_relative(directory).string(),
                      error.message()));
    }
  };
  if (const auto best = best_checkpoint(run)) consider(*best);
  point.best_is_whole = newest >= 0;
  const auto checkpoints = list_checkpoints(run);
  for (auto it = checkpoints.rbegin(); it != checkpoints.rend() && it->first >= newest; ++it) {
    consider(it->second);
  }
  FOLIO_CHECK(newest >= 0 || point.damaged.empty(), directory.string(),
              "no checkpoint is whole ({}); bring one back from a copy, or start a new run with "
              "another --run",
              fmt::join(point.damaged, "; "));
  return point;
}

void remove_old_checkpoints(const fs::path& run, int64_t step, int64_t keep) {
  if (keep == 0) return;
  auto checkpoints = list_checkpoints(run);
  std::erase_if(checkpoints, [step](const auto& entry) { return entry.first > step; });
  const auto kept = std::min<int64_t>(keep, std::ssize(checkpoints));
  checkpoints.resize(checkpoints.size() - static_cast<size_t>(kept));
  for (const auto& [number, path] : checkpoints) remove_directory(path);
}

}  // namespace folio
