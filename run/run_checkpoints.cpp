#include "folio/run/run_checkpoints.h"

#include <fmt/core.h>

#include <algorithm>

#include "folio/io/pending_directory.h"
#include "folio/run/checkpoint.h"
#include "folio/tensor/error.h"

namespace folio {
namespace fs = std::filesystem;

ResumePoint find_resume_point(const fs::path& run) {
  ResumePoint point;
  const auto best = best_checkpoint(run);
  int64_t best_step = -1;
  if (best) {
    const std::string fault = checkpoint_fault(*best);
    point.best_is_whole = fault.empty();
    if (point.best_is_whole) {
      best_step = read_progress(*best).step;
    } else {
      point.damaged.push_back({*best, fault});
    }
  }
  auto checkpoints = list_checkpoints(run);
  for (; !checkpoints.empty() && point.checkpoint.empty(); checkpoints.pop_back()) {
    const auto& [step, path] = checkpoints.back();
    if (best_step > step) break;
    const std::string fault = checkpoint_fault(path);
    if (fault.empty()) {
      point.checkpoint = path;
    } else {
      point.damaged.push_back({path, fault});
    }
  }
  if (point.checkpoint.empty() && point.best_is_whole) point.checkpoint = *best;
  if (point.checkpoint.empty() && !point.damaged.empty()) {
    std::string list;
    for (const auto& [path, fault] : point.damaged) {
      list += fmt::format("{}{}: {}", list.empty() ? "" : "; ", path.filename().string(), fault);
    }
    fail((run / "checkpoints").string(),
         fmt::format("no checkpoint is whole ({}); bring one back from a copy, or start a new run "
                     "with another --run",
                     list));
  }
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
