// Learning-rate schedules.
#pragma once

#include <cstdint>

#include "folio/io/section.h"

namespace folio {

enum class ScheduleKind : uint8_t {
  constant,             // lr after the warm-up
  cosine,               // from lr at step `warmup` to final_lr at `steps` (Loshchilov, Hutter 2017)
  inverse_square_root,  // lr sqrt((warmup + 1) / (step + 1)) (Vaswani et al. 2017, section 5.3,
                        // scaled)
};

/// The first `warmup` steps climb linearly to lr: step s (from 0) has lr (s + 1) / (warmup + 1).
struct Schedule {
  ScheduleKind kind = ScheduleKind::cosine;
  double lr = 1e-3;        // the peak
  double final_lr = 1e-4;  // of cosine
  int64_t warmup = 100;    // steps
  int64_t steps = 2000;    // of the whole run

  /// Binds all members except lr, which is a key of the optimizer, and steps.
  void bind(Section& section);
  /// The learning rate of `step`, counted from 0.
  double operator()(int64_t step) const;
};

}  // namespace folio
