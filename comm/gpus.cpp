#include "folio/comm/gpus.h"

#include <fmt/core.h>

#include <algorithm>

#include "folio/comm/processors.h"
#include "folio/tensor/cuda.h"
#include "folio/tensor/error.h"

namespace folio {

// By the machines' names, not by what a launcher says: every launcher calls it otherwise. A rank
// that sees one GPU only has it from the launcher (srun --gpus-per-task=1).
void choose_gpu(Communicator& ranks) {
  const std::vector<std::string> machines = machines_of(ranks);
  const auto here = machines.begin() + ranks.rank();
  const auto place = static_cast<int>(std::count(machines.begin(), here, *here));
  if (const int devices = cuda::devices(); devices > 1) cuda::use_device(place % devices);
}

std::optional<std::pair<int, int>> sharers_of_a_gpu(
    const std::vector<std::pair<std::string, std::string>>& told) {
  for (auto first = told.begin(); first != told.end(); ++first) {
    const auto second = std::find(first + 1, told.end(), *first);
    if (second != told.end()) return {{first - told.begin(), second - told.begin()}};
  }
  return std::nullopt;
}

void require_own_gpus(Communicator& ranks) {
  const auto told = told_by(ranks, cuda::Context::get().properties().bus);
  const auto sharers = sharers_of_a_gpu(told);
  if (!sharers) return;
  const auto& [machine, gpu] = told[static_cast<size_t>(sharers->first)];
  fail("train.device",
       fmt::format(
           "ranks {} and {} would share the GPU {} of {}, but each rank needs its own: start "
           "as many ranks on a machine as it has GPUs, or use train.device: cpu",
           sharers->first, sharers->second, gpu, machine));
}

}  // namespace folio
