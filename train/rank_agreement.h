// What the ranks of a run agree on before its first step and watch over afterwards.
#pragma once

#include <string>

#include "folio/comm/communicator.h"
#include "folio/run/checkpoint.h"
#include "folio/train/run_start.h"

namespace folio {

/// Rank 0 gives its plan to the others, which get all but what concerns the directory. The text
/// must be the same on each machine; throws Error where it is not.
void share_plan(RunPlan& plan, Communicator& ranks);

/// What rank 0 has of it.
void share_progress(Progress& progress, Communicator& ranks);

/// Throws Error on a rank that would round otherwise than rank 0: with other instructions, another
/// version, or another kind of GPU; and where two ranks would share a GPU.
void require_same_arithmetic(const Config& config, Communicator& ranks);

/// Throws Error on a rank whose weights differ by a bit from those that most ranks have; from those
/// of the first of these, where they are no majority.
void require_same_weights(const ParameterStore& parameters, Communicator& ranks);

/// A rank's patience and its threads: train.rank_timeout, and, without train.threads and
/// OMP_NUM_THREADS, its share of its machine's processors. Every rank must call it.
void apply_config(const Config& config, Communicator& ranks);

/// "ranks   4 on 2 machines, 8 threads each, by Open MPI v4.1.4\n".
std::string describe_ranks(Communicator& ranks);

}  // namespace folio
