// Matrix products.
#include <cstdint>
#include <optional>
#include <utility>

#include "folio/autograd/ops.h"
#include "folio/autograd/ops/checks.h"
#include "folio/kernels/kernels.h"

namespace folio {
namespace {

std::optional<UnaryOp> unary_of(Activation activation) {
  switch (activation) {
    case Activation::none:
      return std::nullopt;
    case Activation::relu:
      return UnaryOp::relu;
    case Activation::gelu:
      return UnaryOp::gelu;
    case Activation::gelu_tanh:
      return UnaryOp::gelu_tanh;
  }
  return std::nullopt;
}

}  // namespace

Variable matmul(Tape& tape, const Variable& a, const Variable& b, bool transpose_a,
                bool transpose_b) {
  check_floating("matmul", "a", a.value);
  check_same_type("matmul", "b", b.value, a.value);
  const Shape &sa = a.shape(), &sb = b.shape();
  const int rank = sa.rank();
  FOLIO_CHECK(rank >= 2 && (sb.rank() == rank || sb.rank() == 2), "matmul",
              "a is {} and b is {}; wanted (..., M, K) and (..., K, N) or (K, N)", sa.to_string(),
              sb.to_string());
  const int64_t m = sa[transpose_a ? -1 : -2], k = sa[transpose_a ? -2 : -1];
  const int64_t n = sb[transpose_b ? -2 : -1], k_b = sb[transpose_b ? -1 : -2];
  FOLIO_CHECK(k == k_b, "matmul", "the inner dimensions of {}{} and {}{} differ: {} and {}",
              sa.to_string(), transpose_a ? " transposed" : "", sb.to_string(),
              transpose_b ? " transposed" : "", k, k_b);
  if (sb.rank() == rank) {
    for (int i = 0; i + 2 < rank; ++i) {
      FOLIO_CHECK(sa[i] == sb[i], "matmul", "the leading dimensions of {} and {} differ",
                  sa.to_string(), sb.to_string());
    }
  } else {
    FOLIO_CHECK(!transpose_a, "matmul",
                "a {} cannot be transposed if b {} has no leading dimensions", sa.to_string(),
                sb.to_string());
  }
  const Variable y = tape.output(sa.with(-2, m).with(-1, n), a.value.dtype(), {&a, &b});
  tape.kernels().matmul({&y.value, false}, a.value, transpose_a, b.value, transpose_b);
  tape.record("matmul", y,
              [transpose_a, transpose_b, da = a.slot, db = b.slot, dy = y.slot, a = a.value,
               b = b.value](Tape& tape) {
                const Tensor& g = tape.grad(dy);
                if (da != nullptr) {  // y = op(a) op(b): d op(a) = g op(b)^T
                  if (transpose_a) {
                    tape.kernels().matmul(tape.grad_of(da), b, transpose_b, g, true);
                  } else {
                    tape.kernels().matmul(tape.grad_of(da), g, false, b, !transpose_b);
                  }
                }
                if (db != nullptr) {  // d op(b) = op(a)^T g
                  if (transpose_b) {
                    tape.kernels().matmul(tape.grad_of(db), g, true, a, transpose_a);
                  } else {
                    tape.kernels().matmul(tape.grad_of(db), a, !transpose_a, g, false);
                  }
                }
              });
  return y;
}

Variable linear(Tape& tape, const Variable& x, const Variable& weight,
                const std::optional<Variable>& bias, Activation activation) {
  check_floating("linear", "x", x.value);
  check_same_type("linear", "weight", weight.value, x.value);
  FOLIO_CHECK(
      weight.shape().rank() == 2 && x.shape().rank() >= 1 && weight.dim(1) == x.shape().columns(),
      "linear", "x is {} and weight is {}; wanted (..., I) and (O, I)", x.shape().to_string(),
      weight.shape().to_string());
  const int64_t outputs = weight.dim(0);
  if (bias) check_shape("linear", "bias", bias->value, {outputs}, weight.value);
  const Variable b = bias.value_or(Variable());
  const Variable y = tape.output(x.shape().with(-1, outputs), x.value.dtype(), {&x, &weight, &b});
  const std::optional<UnaryOp> function = unary_of(activation);
  Tensor z;  // before the activation; the backward pass needs it
  if (function && y.needs_grad()) z = tape.scratch(y.shape(), y.value.dtype());
  tape.kernels().linear_forward(y.value, z, x.value, weight.value, b.value, function);
  // All leading dimensions are rows of one matrix.
  const Shape x_rows{x.shape().rows(), x.shape().columns()}, y_rows{x_rows[0], outputs};
  tape.record("linear", y,
              [function, y_rows, dx = x.slot, dweight = weight.slot, dbias = b.slot, dy = y.slot,
               x = x.value.reshape(x_rows), weight = weight.value, z = std::move(z)](Tape& tape) {
                Tensor dz = tape.grad(dy);
                if (function) {  // z is no longer needed: its gradient replaces it
                  tape.kernels().unary_backward(*function, {&z, false}, z, Tensor(), dz);
                  dz = z;
                }
                dz = dz.reshape(y_rows);
                if (dx != nullptr) {
                  const GradTarget target = tape.grad_of(dx);
                  const Tensor rows = target.tensor->reshape(x.shape());
                  tape.kernels().matmul({&rows, target.accumulate}, dz, false, weight, false);
                }
                if (dweight != nullptr) {  // summed over all rows: (O, I) = dz^T x
                  tape.kernels().matmul(tape.grad_of(dweight), dz, true, x, false);
                }
                if (dbias != nullptr) tape.kernels().sum_rows(tape.grad_of(dbias), dz);
              });
  return y;
}

}  // namespace folio
