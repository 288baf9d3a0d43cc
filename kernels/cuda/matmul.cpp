#include "folio/kernels/cuda/few_rows.h"
#include "folio/kernels/cuda/gemm.h"
#include "folio/kernels/cuda/table.h"
#include "folio/kernels/cuda/types.h"
#include "folio/tensor/cuda.h"

namespace folio::cuda {
namespace {

int64_t row_length(const Tensor& x) { return x.shape().columns(); }
int64_t column_length(const Tensor& x) { return x.dim(-2); }
int64_t matrix_size(const Tensor& x) { return row_length(x) * column_length(x); }
int64_t leading(const Tensor& x) {
  int64_t count = 1;
  for (int axis = 0; axis + 2 < x.shape().rank(); ++axis) count *= x.dim(axis);
  return count;
}

GemmShape shape_of(const Tensor& c, const Tensor& a, bool transpose_a, const Tensor& b,
                   bool transpose_b) {
  GemmShape s{.m = transpose_a ? row_length(a) : column_length(a),
              .n = transpose_b ? column_length(b) : row_length(b),
              .k = transpose_a ? column_length(a) : row_length(a),
              .transpose_a = transpose_a,
              .transpose_b = transpose_b,
              .lda = row_length(a),
              .ldb = row_length(b),
              .in = a.dtype(),
              .out = c.dtype()};
  const int64_t count = leading(a);
  const bool one_b = b.shape().rank() == 2;
  if (leading(c) != count) {
    s.k *= count;  // leading dimensions that c lacks are further rows of the inner one
  } else if (one_b && !transpose_a) {
    s.m *= count;  // the a's lie below one another
  } else {
    s.count = count;
    s.step_a = matrix_size(a);
    s.step_b = one_b ? 0 : matrix_size(b);
  }
  return s;
}

Tensor in_f32(const Tensor& x) {
  const Tensor wide(x.shape(), DType::f32, Device::cuda);
  copy({&wide, false}, x);
  return wide;
}

/// Products without an epilogue, by whatever computes them here.
void multiply(GemmShape shape, const Tensor& a, const Tensor& b, GradTarget c) {
  if (c.tensor->numel() == 0) return;
  if (shape.k == 0) {
    if (!c.accumulate) fill(*c.tensor, 0.0);
    return;
  }
  if (has_few_rows(shape)) {
    return few_rows_gemm(shape, a.raw(), b.raw(), c.accumulate, c.tensor->raw());
  }
  if (shape.in == DType::bf16 && !multiplies_bf16(Device::cuda)) {
    shape.in = shape.out = DType::f32;
    if (c.tensor->dtype() == DType::f32) return multiply(shape, in_f32(a), in_f32(b), c);
    const Tensor wide(c.tensor->shape(), DType::f32, Device::cuda);
    multiply(shape, in_f32(a), in_f32(b), {&wide, false});
    return copy(c, wide);
  }
  gemm(shape, a.raw(), b.raw(), c.accumulate, c.tensor->raw());
}

/// Whether the library may be asked for GELU behind a product. It has the tanh form alone, of an
/// accuracy that only bf16's rounding hides; before compute capability 9.0 it is said to be slower
/// than a kernel of its own (llm.c, pull request 338, and its default since).
bool gelu_joins(const UnaryOp* activation, const Tensor& y, const Tensor& z) {
  return activation != nullptr && *activation == UnaryOp::gelu_tanh && y.dtype() == DType::bf16 &&
         Context::get().facts().capability >= 90 && (!z || row_length(z) % 8 == 0);
}

bool aligned_16(const Tensor& x) { return reinterpret_cast<uintptr_t>(x.raw()) % 16 == 0; }

}  // namespace

void matmul(GradTarget c, const Tensor& a, bool transpose_a, const Tensor& b, bool transpose_b) {
  if (!c) return;
  check_floating("matmul", a);
  multiply(shape_of(*c.tensor, a, transpose_a, b, transpose_b), a, b, c);
}

void linear_forward(const Tensor& y, const Tensor& z, const Tensor& x, const Tensor& weight,
                    const Tensor& bias, const UnaryOp* activation) {
  check_floating("linear", x);
  if (y.numel() == 0) return;
  const GemmShape shape{.m = x.shape().rows(),
                        .n = weight.dim(0),
                        .k = weight.dim(1),
                        .transpose_b = true,
                        .lda = weight.dim(1),
                        .ldb = weight.dim(1),
                        .in = x.dtype(),
                        .out = y.dtype()};
  const Tensor& before = z && activation != nullptr ? z : y;
  const bool plain = shape.k == 0 || has_few_rows(shape) ||
                     (shape.in == DType::bf16 && !multiplies_bf16(Device::cuda)) ||
                     !aligned_16(bias) || !aligned_16(y) || !aligned_16(z);
  if (!plain && gelu_joins(activation, y, z) &&
      gemm(shape, x.raw(), weight.raw(), false, y.raw(), {bias.raw(), true, z.raw()})) {
    return;
  }
  const bool added = !plain && bias &&
                     gemm(shape, x.raw(), weight.raw(), false, before.raw(), {.bias = bias.raw()});
  if (!added) {
    multiply(shape, x, weight, {&before, false});
    if (bias) binary_forward(BinaryOp::add, before, before, bias);
  }
  if (activation != nullptr) unary_forward(*activation, y, before);
}

}  // namespace folio::cuda
