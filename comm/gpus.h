// Assigns each rank a GPU of its own.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "folio/comm/communicator.h"

namespace folio {

/// Selects GPU i for the i-th rank of a machine, if the process sees several GPUs. Every rank must
/// call it before it uses a GPU.
void choose_gpu(Communicator& ranks);

/// Throws Error, on every rank, if two ranks of a machine use the same GPU. Every rank must call it
/// and have a GPU.
void require_own_gpus(Communicator& ranks);

/// The first two ranks that have the same machine and GPU, given (machine, GPU) of every rank.
std::optional<std::pair<int, int>> ranks_sharing_a_gpu(
    const std::vector<std::pair<std::string, std::string>>& gpus);

}  // namespace folio
