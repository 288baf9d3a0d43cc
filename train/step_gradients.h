// Forward and backward of one step's batch, micro-batch by micro-batch: what training does, and
// what the black box does again.
#pragma once

#include <cstdint>
#include <functional>

#include "folio/autograd/parameters.h"
#include "folio/autograd/tape.h"
#include "folio/data/batch.h"
#include "folio/models/model.h"
#include "folio/tasks/task.h"

namespace folio {

/// All that a step's gradients depend on besides the weights, the task and the batch.
struct StepSettings {
  uint64_t seed = 0;
  int64_t step = 0;          // counted from 0
  int64_t micro_batch = 1;   // samples computed at a time; the last may be fewer
  int64_t first_sample = 0;  // of the batch, where it is a part of the step's
  int64_t targets = 0;       // of the whole step; 0: those of the batch
};

/// The parameters collect the gradient of the task's loss over `batch`; `loss`, of one element,
/// becomes that loss. For a part of a step's batch both are its share of the step's. The tape is
/// empty before and after. `begin`, if given, is called before each micro-batch with its first
/// sample in `batch`; where it returns false, nothing more is computed.
void compute_gradients(const Task& task, const Model& model, ParameterStore& parameters, Tape& tape,
                       const Batch& batch, const StepSettings& settings, const Tensor& loss,
                       const std::function<bool(int64_t first_sample)>& begin = {});

}  // namespace folio
