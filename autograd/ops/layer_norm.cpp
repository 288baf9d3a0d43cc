// Layer normalisation, alone and together with the residual connection before it.
#include <cstdint>
#include <optional>

#include "folio/autograd/ops.h"
#include "folio/autograd/ops/checks.h"
#include "folio/kernels/kernels.h"

namespace folio {
namespace {

void check(const char* name, const Variable& x, const Variable& gain,
           const std::optional<Variable>& bias) {
  check_floating(name, "x", x.value);
  FOLIO_CHECK(x.shape().rank() >= 1 && x.shape().columns() > 0, name,
              "x is {}; wanted at least one axis and one column", x.value.describe());
  const Shape columns{x.shape().columns()};
  check_shape(name, "gain", gain.value, columns, x.value);
  if (bias) check_shape(name, "bias", bias->value, columns, x.value);
}

}  // namespace

Variable layer_norm(Tape& tape, const Variable& x, const Variable& gain,
                    const std::optional<Variable>& bias, double eps) {
  check("layer_norm", x, gain, bias);
  const Variable b = bias.value_or(Variable());
  const DType dtype = x.value.dtype();
  const Variable y = tape.output(x.shape(), dtype, {&x, &gain, &b});
  const Tensor mean = tape.scratch({x.shape().rows()}, accumulator_of(dtype));
  const Tensor rstd = tape.scratch({x.shape().rows()}, accumulator_of(dtype));
  tape.kernels().layer_norm_forward(y.value, mean, rstd, x.value, gain.value, b.value, eps);
  tape.record("layer_norm", y,
              [mean, rstd, dx = x.slot, dgain = gain.slot, dbias = b.slot, dy = y.slot, x = x.value,
               gain = gain.value](Tape& tape) {
                const GradTarget x_target = tape.grad_of(dx);
                const GradTarget gain_target = tape.grad_of(dgain);
                const GradTarget bias_target = tape.grad_of(dbias);
                tape.kernels().layer_norm_backward(x_target, gain_target, bias_target, x, mean,
                                                   rstd, gain, tape.grad(dy));
              });
  return y;
}

NormalizedSum residual_dropout_layer_norm(Tape& tape, const Variable& residual, const Variable& x,
                                          double probability, uint32_t site, const Variable& gain,
                                          const std::optional<Variable>& bias, double eps) {
  const char* name = "residual_dropout_layer_norm";
  check(name, x, gain, bias);
  check_shape(name, "residual", residual.value, x.shape(), x.value);
  const Variable b = bias.value_or(Variable());
  const DType dtype = x.value.dtype();
  const DropoutMask mask = tape.dropout_mask(probability, site, x.shape());
  // The sum needs a slot whenever the norm has one: the norm's gradient passes through it.
  const Variable sum = tape.output(x.shape(), dtype, {&residual, &x, &gain, &b});
  const Variable y = tape.output(x.shape(), dtype, {&sum});
  const Tensor mean = tape.scratch({x.shape().rows()}, accumulator_of(dtype));
  const Tensor rstd = tape.scratch({x.shape().rows()}, accumulator_of(dtype));
  tape.kernels().add_dropout_layer_norm_forward(sum.value, y.value, mean, rstd, residual.value,
                                                x.value, gain.value, b.value, eps, mask);
  tape.record(
      name, sum, y,
      [mask, mean, rstd, dresidual = residual.slot, dx = x.slot, dgain = gain.slot, dbias = b.slot,
       dsum = sum.slot, dy = y.slot, sum = sum.value, gain = gain.value](Tape& tape) {
        if (tape.grad(dy)) {
          const GradTarget sum_target = tape.grad_of(dsum);
          const GradTarget gain_target = tape.grad_of(dgain);
          const GradTarget bias_target = tape.grad_of(dbias);
          tape.kernels().layer_norm_backward(sum_target, gain_target, bias_target, sum, mean, rstd,
                                             gain, tape.grad(dy));
        }
        const Tensor& total = tape.grad(dsum);
        if (mask.probability == 0.0) {
          tape.pass_grad(dx, total);
        } else if (dx != nullptr) {
          tape.kernels().dropout(tape.grad_of(dx), total, mask);
        }
        tape.pass_grad(dresidual, total);
      });
  return {sum, y};
}

}  // namespace folio
