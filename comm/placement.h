// The machine, the processors and the GPU of each rank. Every rank must call the functions that
// take a Communicator.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "folio/comm/communicator.h"

namespace folio {

/// This machine's host name.
std::string machine_name();

/// The machine name of each rank.
std::vector<std::string> machines_of(Communicator& ranks);

/// How many threads this rank should use: the processors that it may use, divided by the number of
/// ranks of the machine that may use any of them; at least 1.
int processors_for_rank(Communicator& ranks);

/// The same for `rank`, given each rank's machine and a string with '1' for each processor that it
/// may use.
int processors_for_rank(const std::vector<std::string>& machines,
                        const std::vector<std::string>& usable, int rank);

/// Selects the GPU whose number is this rank's number among the ranks of its machine. Must be
/// called before anything is done on a GPU.
void choose_gpu(Communicator& ranks);

/// Throws Error on every rank if two ranks compute on the same GPU. Every rank must have a GPU.
void require_own_gpus(Communicator& ranks);

/// The positions of the first two equal texts.
std::optional<std::pair<size_t, size_t>> first_duplicate(const std::vector<std::string>& texts);

}  // namespace folio
