#include "folio/comm/placement.h"

#include <fmt/core.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstddef>

#include "folio/tensor/cuda.h"
#include "folio/tensor/error.h"

namespace folio {
namespace {

std::string usable_processors() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (::sched_getaffinity(0, sizeof set, &set) != 0) return "1";
  std::string usable(CPU_SETSIZE, '0');
  for (size_t i = 0; i < usable.size(); ++i) {
    if (CPU_ISSET(i, &set)) usable[i] = '1';
  }
  return usable.substr(0, usable.find_last_of('1') + 1);
}

bool overlap(const std::string& a, const std::string& b) {
  for (size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
    if (a[i] == '1' && b[i] == '1') return true;
  }
  return false;
}

}  // namespace

std::string machine_name() {
  std::array<char, 256> name{};
  return ::gethostname(name.data(), name.size() - 1) == 0 ? name.data() : "?";
}

std::vector<std::string> machines_of(Communicator& ranks) {
  return ranks.all_gather_text(machine_name());
}

int processors_for_rank(const std::vector<std::string>& machines,
                        const std::vector<std::string>& usable, int rank) {
  const auto own = static_cast<size_t>(rank);
  std::ptrdiff_t sharers = 0;
  for (size_t r = 0; r < machines.size(); ++r) {
    sharers += machines[r] == machines[own] && overlap(usable[r], usable[own]);
  }
  const auto count = std::ranges::count(usable[own], '1') / std::max<std::ptrdiff_t>(sharers, 1);
  return static_cast<int>(std::max<std::ptrdiff_t>(count, 1));
}

int processors_for_rank(Communicator& ranks) {
  const std::vector<std::string> machines = machines_of(ranks);
  return processors_for_rank(machines, ranks.all_gather_text(usable_processors()), ranks.rank());
}

// Launchers have different variables for a rank's number on its machine, so machine names are
// compared. A rank that sees only one GPU was given it by the launcher (srun --gpus-per-task=1).
void choose_gpu(Communicator& ranks) {
  const std::vector<std::string> machines = machines_of(ranks);
  const auto here = machines.begin() + ranks.rank();
  const auto local_rank = static_cast<int>(std::count(machines.begin(), here, *here));
  if (const int devices = cuda::devices(); devices > 1) cuda::use_device(local_rank % devices);
}

std::optional<std::pair<size_t, size_t>> first_duplicate(const std::vector<std::string>& texts) {
  for (auto first = texts.begin(); first != texts.end(); ++first) {
    const auto second = std::find(first + 1, texts.end(), *first);
    if (second != texts.end()) return {{first - texts.begin(), second - texts.begin()}};
  }
  return std::nullopt;
}

void require_own_gpus(Communicator& ranks) {
  const std::vector<std::string> gpus = ranks.all_gather_text(
      fmt::format("{} of {}", cuda::Context::get().properties().bus, machine_name()));
  const auto sharers = first_duplicate(gpus);
  if (!sharers) return;
  fail("GPU", fmt::format("ranks {} and {} would share the GPU {}, but each rank needs its own; "
                          "start as many ranks on a machine as it has GPUs, or train on the CPU",
                          sharers->first, sharers->second, gpus[sharers->first]));
}

}  // namespace folio
