// What the program adds to a training: notes on the config, and the black box.
#pragma once

#include "folio/train/loop.h"

namespace folio {

/// notes_on(), make_plan() and stop_with_black_box().
TrainHooks inspecting_hooks();

}  // namespace folio
