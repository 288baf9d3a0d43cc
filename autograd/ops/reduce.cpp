// Sums, means and softmax.
#include <cstdint>

#include "folio/autograd/ops.h"
#include "folio/autograd/ops/checks.h"
#include "folio/kernels/kernels.h"

namespace folio {
namespace {

void check_last_axis(const char* name, const Variable& x) {
  check_floating(name, "x", x.value);
  FOLIO_CHECK(x.shape().rank() >= 1, name, "x is a scalar; wanted at least one axis");
}

/// factor times the sum over the axes that `shape` lacks.
Variable reduce(Tape& tape, const char* name, const Variable& x, const Shape& shape,
                double factor) {
  const Variable y = tape.output(shape, x.value.dtype(), {&x});
  tape.kernels().sum_forward(y.value, x.value, factor);
  tape.record(name, y, [factor, dx = x.slot, dy = y.slot](Tape& tape) {
    tape.kernels().sum_backward(tape.grad_of(dx), tape.grad(dy), factor);
  });
  return y;
}

Variable normalize(Tape& tape, const char* name, const Variable& x, bool logarithm) {
  check_last_axis(name, x);
  const Variable y = tape.output_like(x);
  tape.kernels().softmax_forward(y.value, x.value, logarithm);
  tape.record(name, y, [logarithm, dx = x.slot, dy = y.slot, y = y.value](Tape& tape) {
    tape.kernels().softmax_backward(tape.grad_of(dx), y, tape.grad(dy), logarithm);
  });
  return y;
}

double inverse(const char* name, int64_t count) {
  FOLIO_CHECK(count > 0, name, "x has no elements; its mean is undefined");
  return 1.0 / static_cast<double>(count);
}

}  // namespace

Variable sum(Tape& tape, const Variable& x) {
  check_floating("sum", "x", x.value);
  return reduce(tape, "sum", x, {}, 1.0);
}

Variable mean(Tape& tape, const Variable& x) {
  check_floating("mean", "x", x.value);
  return reduce(tape, "mean", x, {}, inverse("mean", x.value.numel()));
}

Variable sum_last(Tape& tape, const Variable& x) {
  check_last_axis("sum_last", x);
  return reduce(tape, "sum_last", x, x.shape().without_last(), 1.0);
}

Variable mean_last(Tape& tape, const Variable& x) {
  check_last_axis("mean_last", x);
  return reduce(tape, "mean_last", x, x.shape().without_last(),
                inverse("mean_last", x.shape().columns()));
}

Variable softmax(Tape& tape, const Variable& x) { return normalize(tape, "softmax", x, false); }

Variable log_softmax(Tape& tape, const Variable& x) {
  return normalize(tape, "log_softmax", x, true);
}

}  // namespace folio
