#include <functional>

#include "folio/kernels/cpu/bias_activation.h"
#include "folio/kernels/cpu/gemm.h"
#include "folio/kernels/cpu/parallel.h"
#include "folio/kernels/cpu/pieces.h"
#include "folio/kernels/cpu/table.h"
#include "folio/kernels/cpu/types.h"
#include "folio/kernels/views.h"

namespace folio::cpu {
namespace {

/// gemm() without factors.
template <class C, class T>
void product(bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t k, const T* a,
             int64_t lda, const T* b, int64_t ldb, bool accumulate, C* c,
             const PartDone& done = {}) {
  if constexpr (std::is_same_v<C, T> && std::is_same_v<T, bf16>) {
    gemm(transpose_a, transpose_b, m, n, k, a, lda, b, ldb, accumulate, c, n, done);
  } else if constexpr (std::is_same_v<T, bf16>) {
    gemm(transpose_a, transpose_b, m, n, k, a, lda, b, ldb, accumulate, c, n);
  } else {
    gemm(transpose_a, transpose_b, m, n, k, T{1}, a, lda, b, ldb, accumulate ? T{1} : T{0}, c, n,
         done);
  }
}

template <class C, class T>
void multiply(GradTarget c, const Tensor& a, bool transpose_a, const Tensor& b, bool transpose_b) {
  const MatrixProducts p(*c.tensor, a, transpose_a, b, transpose_b);
  const auto multiply_range = [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      product(transpose_a, transpose_b, p.m, p.n, p.k, a.data<T>() + i * p.step_a, p.lda,
              b.data<T>() + i * p.step_b, p.ldb, c.accumulate, c.tensor->data<C>() + i * p.m * p.n);
    }
  };
  // Many products are shared out whole; few large ones are divided by gemm itself.
  constexpr int64_t many = 16, worth_sharing = 1'000'000;  // multiplications
  const int64_t work = p.m * p.n * p.k;
  if (p.count >= many || work < worth_sharing) {
    parallel_for(p.count, worth_sharing / (4 * std::max<int64_t>(work, 1)), multiply_range);
  } else {
    multiply_range(0, p.count);
  }
}

template <class T>
void linear(const Tensor& y, const Tensor& z, const Tensor& x, const Tensor& weight,
            const Tensor& bias, const UnaryOp* activation) {
  const int64_t rows = x.shape().rows(), in = weight.dim(1), out = weight.dim(0);
  T* before = (z && activation != nullptr ? z : y).data<T>();
  // Functions that are not in bias_activation take a pass of their own.
  const bool fused = activation != nullptr && is_activation(*activation);
  const auto finish = [&](int64_t row, int64_t part_rows, int64_t column, int64_t columns) {
    const int64_t first = row * out + column;
    bias_activation((fused ? y.data<T>() : before) + first, before + first,
                    bias ? bias.data<T>() + column : nullptr, part_rows, columns, out,
                    fused ? activation : nullptr);
  };
  product(false, true, rows, out, in, x.data<T>(), in, weight.data<T>(), in, false, before,
          bias || fused ? PartDone(std::cref(finish)) : PartDone());  // by reference: no allocation
  if (activation != nullptr && !fused) unary_forward(*activation, y, z ? z : y);
}

}  // namespace

void matmul(GradTarget c, const Tensor& a, bool transpose_a, const Tensor& b, bool transpose_b) {
  check_floating("matmul", a);
  if (!c) return;
  with_types(c.tensor->dtype(), a.dtype(), [&]<class C, class T>(Type<C>, Type<T>) {
    multiply<C, T>(c, a, transpose_a, b, transpose_b);
  });
}

void linear_forward(const Tensor& y, const Tensor& z, const Tensor& x, const Tensor& weight,
                    const Tensor& bias, const UnaryOp* activation) {
  check_floating("linear", x);
  with_type(x.dtype(), [&]<class T>(Type<T>) { linear<T>(y, z, x, weight, bias, activation); });
}

}  // namespace folio::cpu
