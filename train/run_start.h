// What is known of a run before its first step.
#pragma once

#include <cstdint>
#include <memory>

#include "folio/data/tokenizer.h"
#include "folio/run/run_directory.h"
#include "folio/train/loop.h"

namespace folio {

/// What train() has found out, by rank 0 alone: the others never look at the run directory.
struct RunPlan {
  OpenedRun run;
  int64_t last_step = 0;
  bool nothing_left = false;                       // to do
  std::unique_ptr<Tokenizer> tokenizer = nullptr;  // of a run that continues, or of train.init_from
};

/// Opens the run directory. Says so where nothing is left to do. Throws Error as open_run() does.
RunPlan plan_run(const TrainOptions& options);

/// Tells of damaged checkpoints that were passed over.
void announce_damage(const ResumePoint& from);

}  // namespace folio
