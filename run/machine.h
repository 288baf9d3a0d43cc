// machine.json of a run: the program and the machine that trained it.
#pragma once

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

namespace folio {

/// Version, compiler, system, processor, its vector instruction set, logical processors, threads in
/// use and number of ranks, as JSON with one member a line.
std::string machine_json(int ranks);

/// The members of RUN/machine.json in their order, as text; empty if there is none or it is
/// damaged.
std::vector<std::pair<std::string, std::string>> read_machine(const std::filesystem::path& run);

}  // namespace folio
