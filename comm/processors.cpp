#include "folio/comm/processors.h"

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <set>
#include <utility>

namespace folio {
namespace {

std::string usable_processors() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (::sched_getaffinity(0, sizeof set, &set) != 0) return "1";
  std::string usable(CPU_SETSIZE, '0');
  for (int i = 0; i < CPU_SETSIZE; ++i) {
    if (CPU_ISSET(i, &set)) usable[static_cast<size_t>(i)] = '1';
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

std::vector<std::pair<std::string, std::string>> gather_with_machines(Communicator& ranks,
                                                                      const std::string& text) {
  const std::vector<std::string> machines = machines_of(ranks);
  const std::vector<std::string> texts = ranks.all_gather_text(text);
  std::vector<std::pair<std::string, std::string>> pairs;
  for (size_t r = 0; r < machines.size(); ++r) pairs.emplace_back(machines[r], texts[r]);
  return pairs;
}

int processors_for_rank(const std::vector<std::pair<std::string, std::string>>& usable, int rank) {
  const auto& [machine, own] = usable[static_cast<size_t>(rank)];
  const auto sharers = std::ranges::count_if(usable, [&](const auto& other) {
    return other.first == machine && overlap(other.second, own);
  });
  return static_cast<int>(std::max<std::ptrdiff_t>(
      1, std::ranges::count(own, '1') / std::max<std::ptrdiff_t>(sharers, 1)));
}

int processors_for_rank(Communicator& ranks) {
  return processors_for_rank(gather_with_machines(ranks, usable_processors()), ranks.rank());
}

int count_machines(Communicator& ranks) {
  const std::vector<std::string> machines = machines_of(ranks);
  return static_cast<int>(std::set<std::string>(machines.begin(), machines.end()).size());
}

}  // namespace folio
