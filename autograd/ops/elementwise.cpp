// Elementwise ops: arithmetic with broadcasting, functions of one variable, dropout.
#include <cstdint>

#include "folio/autograd/ops.h"
#include "folio/autograd/ops/checks.h"
#include "folio/kernels/kernels.h"

namespace folio {
namespace {

bool broadcasts_to(const Shape& small, const Shape& large) {
  return small == large || small.numel() == 1 ||
         (small.rank() == 1 && large.rank() >= 1 && small.numel() == large.columns());
}

const Shape& broadcast_shape(const char* name, const Variable& a, const Variable& b) {
  check_floating(name, "a", a.value);
  check_same_type(name, "b", b.value, a.value);
  // Of two single elements the one of higher rank gives the shape.
  const bool a_is_larger = a.shape().rank() >= b.shape().rank();
  const Shape& large = a_is_larger ? a.shape() : b.shape();
  const Shape& small = a_is_larger ? b.shape() : a.shape();
  if (broadcasts_to(small, large)) return large;
  FOLIO_CHECK(broadcasts_to(large, small), name,
              "shapes {} and {} do not fit: they must be equal, or one a vector as long as the "
              "other's last dimension, or one element",
              a.shape().to_string(), b.shape().to_string());
  return small;
}

Variable binary(Tape& tape, const char* name, BinaryOp op, const Variable& a, const Variable& b) {
  const Variable y = tape.output(broadcast_shape(name, a, b), a.value.dtype(), {&a, &b});
  tape.kernels().binary_forward(op, y.value, a.value, b.value);
  tape.record(name, y,
              [op, da = a.slot, db = b.slot, dy = y.slot, a = a.value, b = b.value](Tape& tape) {
                const GradTarget a_target = tape.grad_of(da);
                const GradTarget b_target = tape.grad_of(db);
                tape.kernels().binary_backward(op, a_target, b_target, a, b, tape.grad(dy));
              });
  return y;
}

Variable unary(Tape& tape, const char* name, UnaryOp op, const Variable& x) {
  check_floating(name, "x", x.value);
  const Variable y = tape.output_like(x);
  tape.kernels().unary_forward(op, y.value, x.value);
  // The derivative is computed from y or from x; the other one need not stay alive.
  const bool from_output =
      op == UnaryOp::exp || op == UnaryOp::sqrt || op == UnaryOp::tanh || op == UnaryOp::sigmoid;
  tape.record(name, y,
              [op, dx = x.slot, dy = y.slot, x = from_output ? Tensor() : x.value,
               y = from_output ? y.value : Tensor()](Tape& tape) {
                tape.kernels().unary_backward(op, tape.grad_of(dx), x, y, tape.grad(dy));
              });
  return y;
}

}  // namespace

Variable add(Tape& tape, const Variable& a, const Variable& b) {
  if (a.shape() != b.shape()) return binary(tape, "add", BinaryOp::add, a, b);
  const Variable y = tape.output(broadcast_shape("add", a, b), a.value.dtype(), {&a, &b});
  tape.kernels().binary_forward(BinaryOp::add, y.value, a.value, b.value);
  tape.record("add", y, [da = a.slot, db = b.slot, dy = y.slot](Tape& tape) {
    tape.pass_grad(da, tape.grad(dy));
    tape.pass_grad(db, tape.grad(dy));
  });
  return y;
}

Variable subtract(Tape& tape, const Variable& a, const Variable& b) {
  return binary(tape, "subtract", BinaryOp::subtract, a, b);
}

Variable multiply(Tape& tape, const Variable& a, const Variable& b) {
  return binary(tape, "multiply", BinaryOp::multiply, a, b);
}

Variable divide(Tape& tape, const Variable& a, const Variable& b) {
  return binary(tape, "divide", BinaryOp::divide, a, b);
}

Variable multiply(Tape& tape, const Variable& x, double factor) {
  check_floating("multiply", "x", x.value);
  const Tensor constant = tape.scratch({}, accumulator_of(x.value.dtype()));
  tape.kernels().fill(constant, factor);
  const Variable y = tape.output_like(x);
  tape.kernels().scale({&y.value, false}, x.value, constant);
  tape.record("multiply", y, [constant, dx = x.slot, dy = y.slot](Tape& tape) {
    tape.kernels().scale(tape.grad_of(dx), tape.grad(dy), constant);
  });
  return y;
}

Variable exp(Tape& tape, const Variable& x) { return unary(tape, "exp", UnaryOp::exp, x); }
Variable log(Tape& tape, const Variable& x) { return unary(tape, "log", UnaryOp::log, x); }
Variable sqrt(Tape& tape, const Variable& x) { return unary(tape, "sqrt", UnaryOp::sqrt, x); }
Variable tanh(Tape& tape, const Variable& x) { return unary(tape, "tanh", UnaryOp::tanh, x); }
Variable sigmoid(Tape& tape, const Variable& x) {
  return unary(tape, "sigmoid", UnaryOp::sigmoid, x);
}
Variable relu(Tape& tape, const Variable& x) { return unary(tape, "relu", UnaryOp::relu, x); }
Variable gelu(Tape& tape, const Variable& x) { return unary(tape, "gelu", UnaryOp::gelu, x); }
Variable gelu_tanh(Tape& tape, const Variable& x) {
  return unary(tape, "gelu_tanh", UnaryOp::gelu_tanh, x);
}

Variable dropout(Tape& tape, const Variable& x, double probability, uint32_t site) {
  check_floating("dropout", "x", x.value);
  const DropoutMask mask = tape.dropout_mask(probability, site, x.shape());
  if (mask.probability == 0.0) return x;
  const Variable y = tape.output_like(x);
  tape.kernels().dropout({&y.value, false}, x.value, mask);
  // The mask is not kept: backward draws the same numbers again.
  tape.record("dropout", y, [mask, dx = x.slot, dy = y.slot](Tape& tape) {
    tape.kernels().dropout(tape.grad_of(dx), tape.grad(dy), mask);
  });
  return y;
}

}  // namespace folio
