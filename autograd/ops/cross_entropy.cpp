// Cross-entropy: loss and gradient in one pass over the logits.
#include <algorithm>
#include <cstdint>

#include "folio/autograd/ops.h"
#include "folio/autograd/ops/checks.h"
#include "folio/kernels/kernels.h"
#include "folio/tensor/copy.h"

namespace folio {
namespace {

/// The number of targets that are not ignored, unless the caller gave it. Throws Error for a target
/// that is not a class. Targets on a GPU whose number is given are not checked.
int64_t count_valid(const Tensor& given, int64_t classes, const LossOptions& options) {
  const int32_t ignored = options.ignored_index;
  const bool known = options.valid_targets > 0;
  if (known && given.device() != Device::cpu) return options.valid_targets;
  const Tensor targets = on_device(given, Device::cpu);
  const int32_t* values = targets.data<int32_t>();
  int64_t valid = 0;
  for (int64_t i = 0; i < targets.numel(); ++i) {
    if (values[i] == ignored) continue;
    FOLIO_CHECK(values[i] >= 0 && values[i] < classes, "cross_entropy",
                "target {} is {}; wanted at least 0 and below {}, or the ignored index {}", i,
                values[i], classes, ignored);
    ++valid;
  }
  FOLIO_CHECK(known || valid > 0, "cross_entropy",
              "every target is the ignored index {}, so there is no loss; leave such a batch out",
              ignored);
  return known ? options.valid_targets : valid;
}

/// dlogits receives the gradient; if it is empty, memory for it is allocated.
Variable cross_entropy_into(Tape& tape, const Variable& logits, Tensor dlogits,
                            const Tensor& targets, const LossOptions& options) {
  check_floating("cross_entropy", "logits", logits.value);
  FOLIO_CHECK(logits.shape().rank() >= 1 && targets && targets.dtype() == DType::i32 &&
                  targets.shape() == logits.shape().without_last(),
              "cross_entropy", "logits are {} and targets {}; wanted (..., V) and i32 (...)",
              logits.value.describe(), targets.describe());
  FOLIO_CHECK(options.label_smoothing >= 0.0 && options.label_smoothing <= 1.0, "cross_entropy",
              "label_smoothing is {}; it must be between 0 and 1", options.label_smoothing);
  const int64_t valid = count_valid(targets, logits.shape().columns(), options);
  const DType dtype = logits.value.dtype();
  const Variable loss = tape.output({}, accumulator_of(dtype), {&logits});
  // The gradient is computed now, while each row is in the cache, and scaled in the backward pass
  // by what comes from above.
  if (!loss.needs_grad()) dlogits = Tensor();
  if (loss.needs_grad() && !dlogits) dlogits = tape.scratch(logits.shape(), dtype);
  tape.kernels().cross_entropy(loss.value, dlogits, logits.value, on_device(targets, tape.device()),
                               {.label_smoothing = options.label_smoothing,
                                .ignored_index = options.ignored_index,
                                .scale = 1.0 / static_cast<double>(valid)});
  tape.record("cross_entropy", loss,
              [dlogits = std::move(dlogits), dx = logits.slot, dy = loss.slot](Tape& tape) {
                tape.kernels().scale({&dlogits, false}, dlogits, tape.grad(dy));
                tape.pass_grad(dx, dlogits);
              });
  return loss;
}

}  // namespace

Variable cross_entropy(Tape& tape, const Variable& logits, const Tensor& targets,
                       const LossOptions& options) {
  return cross_entropy_into(tape, logits, Tensor(), targets, options);
}

Variable cross_entropy(Tape& tape, Variable&& logits, const Tensor& targets,
                       const LossOptions& options) {
  const Tensor place = logits.value.unique() ? logits.value : Tensor();
  return cross_entropy_into(tape, logits, place, targets, options);
}

}  // namespace folio
