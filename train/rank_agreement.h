// Makes sure that the ranks of a run have the same config, text, arithmetic and weights.
#pragma once

#include <string>

#include "folio/comm/communicator.h"
#include "folio/run/checkpoint.h"
#include "folio/train/run_start.h"

namespace folio {

/// Copies the plan of rank 0 to the other ranks, except for what concerns the run directory. Throws
/// Error on a rank whose machine has another text.
void share_plan(RunPlan& plan, Communicator& ranks);

/// Copies the progress of rank 0 to the other ranks.
void share_progress(Progress& progress, Communicator& ranks);

/// Throws Error on a rank that would round differently from rank 0, because it has another
/// instruction set, version or kind of GPU, and if two ranks share a GPU.
void require_same_arithmetic(const Config& config, Communicator& ranks);

/// Throws Error on a rank whose weights differ, in any bit, from those that the largest group of
/// equal ranks has.
void require_same_weights(const ParameterStore& parameters, Communicator& ranks);

/// Applies train.rank_timeout and, without train.threads and OMP_NUM_THREADS, gives the rank its
/// share of its machine's processors as threads. Every rank must call it.
void apply_config(const Config& config, Communicator& ranks);

/// "ranks   4 on 2 machines, 8 threads each, by Open MPI v4.1.4\n".
std::string describe_ranks(Communicator& ranks);

}  // namespace folio
