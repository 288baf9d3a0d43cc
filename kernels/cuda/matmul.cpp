// The kernels matmul and linear_forward, by cublaslt_gemm() and gemm_few_rows().
#include <cstdint>
#include <optional>

#include "folio/kernels/cuda/gemm_cublaslt.h"
#include "folio/kernels/cuda/gemm_few_rows.h"
#include "folio/kernels/cuda/types.h"
#include "folio/kernels/device_kernels.h"
#include "folio/kernels/matrix_product.h"
#include "folio/tensor/cuda.h"

namespace folio::cuda {
namespace {

Tensor in_f32(const Tensor& x) {
  const Tensor wide(x.shape(), DType::f32, Device::cuda);
  copy({&wide, false}, x);
  return wide;
}

/// Computes a product without an epilogue, in the best available way.
void multiply(MatrixProduct p, const Tensor& a, const Tensor& b, const Tensor& c) {
  if (c.numel() == 0) return;
  if (p.k == 0) {
    if (!p.accumulate) fill(c, 0.0);
    return;
  }
  if (has_few_rows(p)) return gemm_few_rows(p, a.raw(), b.raw(), c.raw());
  if (p.values == DType::bf16 && !multiplies_bf16(Device::cuda)) {
    const bool accumulate = p.accumulate;
    p.values = p.result = DType::f32;
    if (c.dtype() == DType::f32) return multiply(p, in_f32(a), in_f32(b), c);
    const Tensor wide(c.shape(), DType::f32, Device::cuda);
    p.accumulate = false;
    multiply(p, in_f32(a), in_f32(b), wide);
    return copy({&c, accumulate}, wide);
  }
  cublaslt_gemm(p, a.raw(), b.raw(), c.raw());
}

/// Whether the library can apply GELU after the product. It only has the tanh form, with an
/// accuracy that is sufficient for bf16; before compute capability 9.0 it is reported to be slower
/// than a separate kernel (llm.c, pull request 338, and its default since).
bool gelu_joins(std::optional<UnaryOp> activation, const Tensor& y, const Tensor& z) {
  return activation && *activation == UnaryOp::gelu_tanh && y.dtype() == DType::bf16 &&
         Context::get().properties().capability >= 90 && (!z || z.dim(-1) % 8 == 0);
}

bool aligned_16(const Tensor& x) { return reinterpret_cast<uintptr_t>(x.raw()) % 16 == 0; }

}  // namespace

void matmul(GradTarget c, const Tensor& a, bool transpose_a, const Tensor& b, bool transpose_b) {
  if (!c) return;
  check_floating("matmul", a);
  multiply(matmul_product(c, a, transpose_a, b, transpose_b), a, b, *c.tensor);
}

void linear_forward(const Tensor& y, const Tensor& z, const Tensor& x, const Tensor& weight,
                    const Tensor& bias, std::optional<UnaryOp> activation) {
  check_floating("linear", x);
  if (y.numel() == 0) return;
  const MatrixProduct product = linear_product(y, x, weight);
  const Tensor& before = z && activation ? z : y;
  const bool plain = product.k == 0 || has_few_rows(product) ||
                     (product.values == DType::bf16 && !multiplies_bf16(Device::cuda)) ||
                     !aligned_16(bias) || !aligned_16(y) || !aligned_16(z);
  if (!plain && gelu_joins(activation, y, z) &&
      cublaslt_gemm(product, x.raw(), weight.raw(), y.raw(), {bias.raw(), true, z.raw()})) {
    return;
  }
  const bool added =
      !plain && bias &&
      cublaslt_gemm(product, x.raw(), weight.raw(), before.raw(), {.bias = bias.raw()});
  if (!added) {
    multiply(product, x, weight, before);
    if (bias) binary_forward(BinaryOp::add, before, before, bias);
  }
  if (activation) unary_forward(*activation, y, before);
}

}  // namespace folio::cuda
