// What the program adds to a training: notes about likely mistakes in a config, the plan, and the
// black box.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "folio/run/config.h"
#include "folio/train/loop.h"

namespace folio {

/// The memory in bytes that this process can use: what it has, and what is available on the machine
/// or in its control group (/proc/meminfo, cgroup v2). Empty if it is unknown.
std::optional<int64_t> available_memory();

/// A line for each of: a learning rate that rises until the end, a warm-up that never ends, and a
/// step that needs more memory than `available`, if that is known.
std::vector<std::string> notes_on(const Config& config, int64_t vocabulary,
                                  std::optional<int64_t> available);

/// The hooks that use notes_on(), make_plan() and stop_with_black_box().
TrainHooks inspecting_hooks();

}  // namespace folio
