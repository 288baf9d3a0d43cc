// Makes the ranks of a run agree on its plan, and checks that they stay in agreement.
#pragma once

#include <string>

#include "folio/comm/communicator.h"
#include "folio/run/checkpoint.h"
#include "folio/train/run_start.h"

namespace folio {

/// Sends rank 0's plan, without the directory, to the other ranks. Throws Error on a machine that
/// has another text.
void share_plan(RunPlan& plan, Communicator& ranks);

/// Sends rank 0's progress to the other ranks.
void share_progress(Progress& progress, Communicator& ranks);

/// Throws Error on a rank that would round differently from rank 0 because its instruction set,
/// version or kind of GPU is another, and if two ranks would share a GPU.
void require_same_arithmetic(const Config& config, Communicator& ranks);

/// Throws Error on each rank whose weights are not bitwise those that the most ranks have (in a
/// tie, those of the lowest rank).
void require_same_weights(const ParameterStore& parameters, Communicator& ranks);

/// Sets the timeout to train.rank_timeout and, unless train.threads or OMP_NUM_THREADS is set, the
/// number of threads to this rank's share of the processors. Every rank must call it.
void apply_config(const Config& config, Communicator& ranks);

/// "ranks   4 on 2 machines, 8 threads each, by Open MPI v4.1.4\n".
std::string describe_ranks(Communicator& ranks);

}  // namespace folio
