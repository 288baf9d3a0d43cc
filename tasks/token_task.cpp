#include "folio/tasks/token_task.h"

#include <algorithm>

#include "folio/autograd/ops.h"
#include "folio/data/batch.h"

namespace folio {

int64_t TokenTask::targets(const Batch& batch) const {
  const Tensor& targets = batch["targets"];
  const int32_t* const values = targets.data<int32_t>();
  return targets.numel() - std::count(values, values + targets.numel(), ignored_target);
}

Batch TokenTask::blank(int64_t samples) const {
  Batch batch;
  for (const char* const name : {"tokens", "targets"}) {
    const Tensor tensor({samples, inputs().context}, DType::i32);
    std::fill_n(tensor.data<int32_t>(), tensor.numel(), 0);
    batch.tensors.push_back({name, tensor});
  }
  return batch;
}

Variable TokenTask::loss(Tape& tape, const Model& model, const Batch& batch,
                         int64_t targets_of_step) const {
  return cross_entropy(tape, model.forward(tape, batch), batch["targets"],
                       {.label_smoothing = inputs().label_smoothing,
                        .ignored_index = ignored_target,
                        .valid_targets = targets_of_step});
}

void TokenTask::measure(Tape& tape, const Model& model, const Batch& batch, Totals& totals) const {
  const int64_t count = targets(batch);
  if (count == 0) return;
  const Variable mean = cross_entropy(tape, model.forward(tape, batch), batch["targets"],
                                      {.ignored_index = ignored_target, .valid_targets = count});
  totals.sums["loss"] += mean.value.item() * static_cast<double>(count);
  totals.targets += count;
}

TokenSpan TokenTask::tokens_of(Split split) const {
  return split == Split::train ? corpus().train() : corpus().validation();
}

}  // namespace folio
