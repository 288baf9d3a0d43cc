// Forward and backward passes of one step, by micro-batches; for training and for the black box.
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
  int64_t micro_batch = 1;   // samples computed at a time
  int64_t first_sample = 0;  // position of `batch` in the step's whole batch
  int64_t targets = 0;       // of the whole step; 0: those of `batch`
};

/// Computes the gradient of the task's loss over `batch`, and stores the loss in `loss` (1). If
/// `batch` is a part of the step's batch, both are its contributions to the step's. The tape is
/// empty before and after. `begin`, if given, is called before each micro-batch with its first
/// sample in `batch`; if it returns false, the computation stops.
void compute_gradients(const Task& task, const Model& model, ParameterStore& parameters, Tape& tape,
                       const Batch& batch, const StepSettings& settings, const Tensor& loss,
                       const std::function<bool(int64_t first_sample)>& begin = {});

}  // namespace folio
