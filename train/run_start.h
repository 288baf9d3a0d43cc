// Opens a run before its first step.
#pragma once

#include <cstdint>
#include <memory>

#include "folio/data/tokenizer.h"
#include "folio/run/run_directory.h"
#include "folio/train/loop.h"

namespace folio {

/// What rank 0 found when it opened the run. Other ranks do not read the run directory.
struct RunPlan {
  OpenedRun run;
  int64_t last_step = 0;
  bool nothing_left = false;                       // all steps are done
  std::unique_ptr<Tokenizer> tokenizer = nullptr;  // of the resumed run or of train.init_from
};

/// Opens the run directory, and prints a line if all steps are done. Throws Error as open_run()
/// does.
RunPlan plan_run(const TrainOptions& options);

/// Prints a line about damaged checkpoints that were passed over, if there are any.
void announce_damage(const ResumePoint& from);

}  // namespace folio
