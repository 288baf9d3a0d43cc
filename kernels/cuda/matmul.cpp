#include "folio/kernels/cuda/few_rows.h"
#include "folio/kernels/cuda/gemm.h"
#include "folio/kernels/cuda/table.h"
#include "folio/kernels/cuda/types.h"
#include "folio/kernels/views.h"
#include "folio/tensor/cuda.h"

namespace folio::cuda {
namespace {

GemmShape shape_of(const Tensor& c, const Tensor& a, bool transpose_a, const Tensor& b,
                   bool transpose_b) {
  const MatrixProducts p(c, a, transpose_a, b, transpose_b);
  return {.m = p.m,
          .n = p.n,
          .k = p.k,
          .transpose_a = transpose_a,
          .transpose_b = transpose_b,
          .lda = p.lda,
          .ldb = p.ldb,
          .count = p.count,
          .step_a = p.step_a,
          .step_b = p.step_b,
          .in = a.dtype(),
          .out = c.dtype()};
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
         Context::get().facts().capability >= 90 && (!z || z.dim(-1) % 8 == 0);
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
