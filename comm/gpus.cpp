#include "folio/comm/gpus.h"

#include <fmt/core.h>

#include <algorithm>

#include "folio/comm/processors.h"
#include "folio/tensor/cuda.h"
#include "folio/tensor/error.h"

namespace folio {

// The place among the ranks of a machine comes from the machines' names, because each launcher has
// its own variable for it. A rank that sees one GPU got it from the launcher
// (srun --gpus-per-task=1).
void choose_gpu(Communicator& ranks) {
  const std::vector<std::string> machines = machines_of(ranks);
  const auto here = machines.begin() + ranks.rank();
  const auto place = static_cast<int>(std::count(machines.begin(), here, *here));
  if (const int devices = cuda::devices(); devices > 1) cuda::use_device(place % devices);
}

std::optional<std::pair<int, int>> ranks_sharing_a_gpu(
    const std::vector<std::pair<std::string, std::string>>& gpus) {
  for (auto first = gpus.begin(); first != gpus.end(); ++first) {
    const auto second = std::find(first + 1, gpus.end(), *first);
    if (second != gpus.end()) return {{first - gpus.begin(), second - gpus.begin()}};
  }
  return std::nullopt;
}

void require_own_gpus(Communicator& ranks) {
  const auto gpus = gather_with_machines(ranks, cuda::Context::get().properties().bus);
  const auto sharers = ranks_sharing_a_gpu(gpus);
  if (!sharers) return;
  const auto& [machine, gpu] = gpus[static_cast<size_t>(sharers->first)];
  fail(
      "ranks",
      fmt::format("ranks {} and {} have the same GPU, {} of {}, but each rank needs its own; start "
                  "as many ranks on a machine as it has GPUs, or train on CPUs",
                  sharers->first, sharers->second, gpu, machine));
}

}  // namespace folio
