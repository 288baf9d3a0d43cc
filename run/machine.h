// machine.json of a run: the program and the machine that trained it.
#pragma once

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

namespace folio {

/// A JSON object with the version, compiler, system, processor, vector instruction set, and numbers
/// of logical processors, threads and ranks.
std::string machine_json(int ranks);

/// The members of RUN/machine.json as text, in order; empty if the file is missing or damaged.
std::vector<std::pair<std::string, std::string>> read_machine(const std::filesystem::path& run);

}  // namespace folio
