#include "folio/tasks/token_loss.h"

#include <algorithm>
#include <utility>

#include "folio/autograd/ops.h"
#include "folio/data/batch.h"

namespace folio {

int64_t count_targets(const Tensor& targets) {
  const int32_t* const values = targets.data<int32_t>();
  const int64_t all = targets.numel();
  return all - std::count(values, values + all, ignored_target);
}

Batch blank_token_batch(int64_t samples, int64_t context) {
  Batch batch;
  for (const char* const name : {"tokens", "targets"}) {
    const Tensor tensor({samples, context}, DType::i32);
    std::fill_n(tensor.data<int32_t>(), tensor.numel(), 0);
    batch.tensors.push_back({name, tensor});
  }
  return batch;
}

void add_token_totals(Tape& tape, Variable logits, const Tensor& targets, Totals& totals) {
  const int64_t count = count_targets(targets);
  if (count == 0) return;
  const Variable loss = cross_entropy(tape, std::move(logits), targets,
                                      {.ignored_index = ignored_target, .valid_targets = count});
  totals.sums["loss"] += loss.value.item() * static_cast<double>(count);
  totals.targets += count;
}

}  // namespace folio
