// Plans a run before its first step.
#pragma once

#include <cstdint>
#include <memory>

#include "folio/data/tokenizer.h"
#include "folio/run/run_directory.h"
#include "folio/train/loop.h"

namespace folio {

/// What train() will do. Rank 0 makes the plan; the other ranks do not access the run directory.
struct RunPlan {
  OpenedRun run;
  int64_t last_step = 0;
  bool is_complete = false;                        // all steps are done
  std::unique_ptr<Tokenizer> tokenizer = nullptr;  // of a resumed run or of train.init_from
};

/// Opens the run directory, and prints a message if the run is complete. Throws Error as open_run()
/// does.
RunPlan plan_run(const TrainOptions& options);

/// Prints the damaged checkpoints that were skipped.
void print_damage(const ResumePoint& from);

}  // namespace folio
