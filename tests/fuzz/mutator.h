// Inputs for a fuzzing target, each a function of (target, seed, index) alone.
#pragma once

#include <cstdint>
#include <string>

#include "fuzz/target.h"

namespace folio {

/// No input is longer.
inline constexpr size_t most_input_bytes = 64 * 1024;

/// Input `index`: the corpus as it is comes first, then pieces of it with up to 16 mutations.
std::string fuzz_input(const FuzzTarget& target, uint64_t seed, uint64_t index);

}  // namespace folio
