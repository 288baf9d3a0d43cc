// What a run allocates on a GPU besides its parameters.
#pragma once

#include <vector>

#include "folio/inspect/plan.h"
#include "folio/run/config.h"
#include "folio/tensor/dtype.h"

namespace folio {

/// Found by going through a step, and an evaluation, with everything but the work: the program's
/// own code asks for each piece of memory in its order, so pools, scratch of kernels and the
/// workspaces that the libraries name are counted as they will be. Not counted is what CUDA and its
/// libraries take for themselves. The step is that of one process with `reduce: fast`.
/// `config.model.vocabulary` must be set. Throws Error where there is no GPU.
std::vector<PlanLine> gpu_memory(const Config& config, DType type);

}  // namespace folio
