#include "folio/train/run_start.h"

#include <fmt/core.h>

#include <algorithm>
#include <string>

#include "folio/io/output.h"
#include "folio/run/checkpoint.h"
#include "folio/run/initial_weights.h"
#include "folio/tensor/error.h"

namespace folio {

void print_damage(const ResumePoint& from) {
  for (const std::string& fault : from.damaged) print(fmt::format("damaged {}\n", fault));
}

RunPlan plan_run(const TrainOptions& options) {
  FOLIO_CHECK(options.stop_at >= 0, "train", "--stop-at is {}; it must be at least 1",
              options.stop_at);
  RunPlan plan{.run = open_run(options)};
  const OpenedRun& run = plan.run;
  const int64_t steps = run.config.train.steps;
  plan.last_step = options.stop_at > 0 ? std::min(options.stop_at, steps) : steps;
  if (run.from.checkpoint.empty()) {
    plan.tokenizer = initial_tokenizer(run.config);
    return plan;
  }
  const int64_t done = read_progress(run.from.checkpoint).step;
  plan.is_complete =
      done >= plan.last_step && run.from.checkpoint == step_checkpoint(run.directory, done);
  if (plan.is_complete) {
    print_damage(run.from);
    print(fmt::format("{}: {} steps are done, as many as asked for; nothing is left to do{}\n",
                      run.directory.string(), grouped(done),
                      plan.last_step == steps ? " (more with --set train.steps=N)" : ""));
    return plan;
  }
  plan.last_step = std::max(plan.last_step, done);
  plan.tokenizer = load_tokenizer(run.from.checkpoint);
  return plan;
}

}  // namespace folio
