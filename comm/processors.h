// Machines and processors of the ranks.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "folio/comm/communicator.h"

namespace folio {

/// How many threads a rank should use: the number of processors that the process may run on,
/// divided by the number of ranks that may run on them too, and at least 1. Every rank must call
/// it.
int processors_for_rank(Communicator& ranks);

/// The same for rank `rank`, given the machine of every rank and the processors that it may run on,
/// a text with '1' at the number of each.
int processors_for_rank(const std::vector<std::pair<std::string, std::string>>& usable, int rank);

/// The host name.
std::string machine_name();

/// The host name of every rank. Every rank must call it.
std::vector<std::string> machines_of(Communicator& ranks);

/// The host name of every rank, and the text that it passed. Every rank must call it.
std::vector<std::pair<std::string, std::string>> gather_with_machines(Communicator& ranks,
                                                                      const std::string& text);

/// The number of machines. Every rank must call it.
int count_machines(Communicator& ranks);

}  // namespace folio
