// Which program and which machine: machine.json of a run.
#pragma once

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

namespace folio {

/// As JSON, one member a line: version, compiler, system, processor, its instruction set for
/// vectors, logical processors, threads in use, and of how many ranks this is the first.
std::string machine_json(int ranks);

/// The members of RUN/machine.json in their order, as text; empty if there is none or it is
/// damaged.
std::vector<std::pair<std::string, std::string>> read_machine(const std::filesystem::path& run);

}  // namespace folio
