// Forward and backward of one step's batch, micro-batch by micro-batch, for training and for the
// black box.
#pragma once

#include <cstdint>
#include <functional>

#include "folio/autograd/parameters.h"
#include "folio/autograd/tape.h"
#include "folio/data/batch.h"
#include "folio/models/model.h"
#include "folio/tasks/task.h"

namespace folio {

/// What a step's gradients depend on besides the weights, the task and the batch.
struct StepSettings {
  uint64_t seed = 0;
  int64_t step = 0;          // counted from 0
  int64_t micro_batch = 1;   // samples computed at a time; the last may be fewer
  int64_t first_sample = 0;  // number in the step of the batch's first sample
  int64_t targets = 0;       // number in the whole step; 0: that of the batch
};

/// Adds the gradient of the task's loss over `batch` to the parameters' gradients, and sets `loss`,
/// of one element, to the loss. If the batch is a part of a step's, both are its share of the
/// step's. The tape is empty before and after. `begin`, if given, is called before each micro-batch
/// with the number of its first sample in `batch`; if it returns false, the rest is not computed.
void compute_gradients(const Task& task, const Model& model, ParameterStore& parameters, Tape& tape,
                       const Batch& batch, const StepSettings& settings, const Tensor& loss,
                       const std::function<bool(int64_t first_sample)>& begin = {});

}  // namespace folio
