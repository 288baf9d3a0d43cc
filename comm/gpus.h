// One GPU a rank.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "folio/comm/communicator.h"

namespace folio {

/// This process computes on the GPU of its place among the ranks of its machine, if it sees
/// several. Every rank must call it, before anything is done on a GPU.
void choose_gpu(Communicator& ranks);

/// Throws Error, on every rank, where two ranks of a machine would compute on the same GPU. Every
/// rank must call it, and compute on a GPU.
void require_own_gpus(Communicator& ranks);

/// Of the machine and the GPU that each rank has: the first two ranks that have the same.
std::optional<std::pair<int, int>> sharers_of_a_gpu(
    const std::vector<std::pair<std::string, std::string>>& told);

}  // namespace folio
