// How many threads a rank should use.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "folio/comm/communicator.h"

namespace folio {

/// The processors that the system lets this process use, over the ranks of this machine that may
/// use them too; at least 1. Every rank must call it.
int processors_for_rank(Communicator& ranks);

/// The same from what each rank has told: its machine's name and a line of the processors that it
/// may use, '1' where it may. Of the rank `rank`.
int processors_for_rank(const std::vector<std::pair<std::string, std::string>>& told, int rank);

/// What this machine calls itself.
std::string machine_name();

/// The machine of each rank. Every rank must call it.
std::vector<std::string> machines_of(Communicator& ranks);

/// Of each rank its machine, and what it has told. Every rank must call it.
std::vector<std::pair<std::string, std::string>> told_by(Communicator& ranks,
                                                         const std::string& text);

/// How many machines the ranks are on. Every rank must call it.
int count_machines(Communicator& ranks);

}  // namespace folio
