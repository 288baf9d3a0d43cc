// What a run says about itself before it begins, where its config is hardly meant so.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "folio/run/config.h"

namespace folio {

/// Bytes that this process may come to hold: those it has, and what is available of the machine's
/// memory, or of its control group's if that is less (/proc/meminfo, cgroup v2). Empty where it is
/// not known.
std::optional<int64_t> available_memory();

/// A line for each: a learning rate that rises to its end, a warm-up that never ends, and a step
/// that needs more memory than `available`, where that is known. `config.model.vocabulary` must be
/// set.
std::vector<std::string> notes_on(const Config& config, std::optional<int64_t> available);

}  // namespace folio
