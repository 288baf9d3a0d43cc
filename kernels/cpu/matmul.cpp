// The kernels matmul and linear_forward, by gemm().
#include <cstdint>
#include <functional>
#include <optional>

#include "folio/kernels/cpu/bias_activation.h"
#include "folio/kernels/cpu/gemm.h"
#include "folio/kernels/cpu/pieces.h"
#include "folio/kernels/cpu/types.h"
#include "folio/kernels/device_kernels.h"

namespace folio::cpu {
namespace {

template <class T>
void linear(const Tensor& y, const Tensor& z, const Tensor& x, const Tensor& weight,
            const Tensor& bias, std::optional<UnaryOp> activation) {
  const int64_t out = weight.dim(0);
  T* before = (z && activation ? z : y).data<T>();
  // Functions that bias_activation() does not have are applied by a kernel of their own.
  const bool fused = activation && is_activation(*activation);
  const auto finish = [&](int64_t row, int64_t rows, int64_t column, int64_t columns) {
    const int64_t first = row * out + column;
    bias_activation(dtype_of<T>, (fused ? y.data<T>() : before) + first, before + first,
                    bias ? bias.data<T>() + column : nullptr, rows, columns, out,
                    fused ? activation : std::nullopt);
  };
  // std::cref: a std::function that holds a reference does not allocate.
  gemm(linear_product(y, x, weight), x.raw(), weight.raw(), before,
       bias || fused ? TileDone(std::cref(finish)) : TileDone());
  if (activation && !fused) unary_forward(*activation, y, z ? z : y);
}

}  // namespace

void matmul(GradTarget c, const Tensor& a, bool transpose_a, const Tensor& b, bool transpose_b) {
  check_floating("matmul", a);
  if (!c) return;
  gemm(matmul_product(c, a, transpose_a, b, transpose_b), a.raw(), b.raw(), c.tensor->raw());
}

void linear_forward(const Tensor& y, const Tensor& z, const Tensor& x, const Tensor& weight,
                    const Tensor& bias, std::optional<UnaryOp> activation) {
  check_floating("linear", x);
  with_type(x.dtype(), [&]<class T>(Type<T>) { linear<T>(y, z, x, weight, bias, activation); });
}

}  // namespace folio::cpu
