#include "folio/optim/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace folio {

void Schedule::bind(Section& section) {
  section.choice<ScheduleKind>("name", kind,
                               {{"cosine", ScheduleKind::cosine},
                                {"constant", ScheduleKind::constant},
                                {"inverse_square_root", ScheduleKind::inverse_square_root}},
                               "");
  section.integer("warmup", warmup, 0, most_steps, "steps in which the rate climbs");
  section.number("final_lr", final_lr, at_least_0, "at the last step of cosine");
}

double Schedule::operator()(int64_t step) const {
  if (step < warmup) return lr * static_cast<double>(step + 1) / static_cast<double>(warmup + 1);
  switch (kind) {
    case ScheduleKind::constant:
      return lr;
    case ScheduleKind::cosine: {
      if (step >= steps) return final_lr;
      const double progress =
          static_cast<double>(step - warmup) / static_cast<double>(steps - warmup);
      return final_lr + 0.5 * (1.0 + std::cos(std::numbers::pi * progress)) * (lr - final_lr);
    }
    case ScheduleKind::inverse_square_root: {
      const double start = static_cast<double>(warmup + 1);
      return lr * std::sqrt(start / std::max(start, static_cast<double>(step + 1)));
    }
  }
  return lr;
}

}  // namespace folio
