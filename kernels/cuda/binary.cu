#include <cstdint>

#include "folio/kernels/cuda/elementwise.h"
#include "folio/kernels/cuda/reduce.h"
#include "folio/kernels/device_kernels.h"

namespace folio::cuda {
namespace {

/// An operand that is as large as the result, or one row that is used for every row, or one element
/// that is used for every element. Null if it is unused.
template <class T>
struct Operand {
  const T* memory = nullptr;
  int64_t columns = 0;  // 0: as large as the result

  Operand(const Tensor& tensor, const Tensor& result) : memory(elements<const T>(tensor)) {
    if (tensor.numel() != result.numel()) columns = tensor.numel();
  }
  __device__ float operator[](int64_t i) const {
    if (memory == nullptr) return 0.0f;
    return widen(memory[columns == 0 ? i : columns == 1 ? 0 : i % columns]);
  }
};

struct Combine {
  BinaryOp op;
  explicit Combine(BinaryOp op) : op(op) {}
  __device__ float operator()(int64_t, float a, float b) const {
    switch (op) {
      case BinaryOp::add:
        return a + b;
      case BinaryOp::subtract:
        return a - b;
      case BinaryOp::multiply:
        return a * b;
      case BinaryOp::divide:
        return a / b;
    }
    return 0.0f;
  }
};

template <class T>
struct BroadcastTerms {
  Combine combine;
  Operand<T> a, b;
  __device__ float operator()(int64_t i) const { return combine(i, a[i], b[i]); }
};

/// The terms of the gradient for one operand: dy, -dy, dy b, dy / b, -dy a / b^2.
enum class Slope : uint8_t { plus, minus, times, over, quotient };

template <class T>
struct SlopeTerms {
  Slope slope;
  const T* dy;
  Operand<T> a, b;
  __device__ float operator()(int64_t i) const {
    const float g = widen(dy[i]);
    switch (slope) {
      case Slope::plus:
        return g;
      case Slope::minus:
        return -g;
      case Slope::times:
        return g * b[i];
      case Slope::over:
        return g / b[i];
      case Slope::quotient:
        return -g * a[i] / (b[i] * b[i]);
    }
    return 0.0f;
  }
};

template <class Y, class F>
__global__ void terms_kernel(Y* y, int64_t n, bool accumulate, F term) {
  const int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (i < n) write_sum(y + i, accumulate, term(i));
}

template <class Y, class T>
void gradient(GradTarget target, const Tensor& dy, const SlopeTerms<T>& terms) {
  Y* out = elements<Y>(*target.tensor);
  const int64_t n = dy.numel(), count = target.tensor->numel();
  if (count == n) {
    launch("binary_backward", {pieces_of(n, 256)}, terms_kernel<Y, SlopeTerms<T>>, out, n,
           target.accumulate, terms);
  } else if (count == 1) {
    sum_everything("binary_backward", out, target.accumulate, n, terms, 1.0);
  } else {
    sum_columns("binary_backward", out, target.accumulate, n / count, count, terms);
  }
}

}  // namespace

void binary_forward(BinaryOp op, const Tensor& y, const Tensor& a, const Tensor& b) {
  check_floating("binary", y);
  const int64_t n = y.numel();
  with_type(y.dtype(), [&]<class T>(Type<T>) {
    T* out = elements<T>(y);
    if (a.numel() == n && b.numel() == n) {
      map_elements("binary_forward", out, n, false, Combine(op), elements<const T>(a),
                   elements<const T>(b));
      return;
    }
    const BroadcastTerms<T> terms{Combine(op), Operand<T>(a, y), Operand<T>(b, y)};
    launch("binary_forward", {pieces_of(n, 256)}, terms_kernel<T, BroadcastTerms<T>>, out, n, false,
           terms);
  });
}

void binary_backward(BinaryOp op, GradTarget da, GradTarget db, const Tensor& a, const Tensor& b,
                     const Tensor& dy) {
  check_floating("binary", dy);
  const bool sum = op == BinaryOp::add || op == BinaryOp::subtract;
  const Tensor none;
  const auto run = [&](GradTarget target, Slope slope, const Tensor& first, const Tensor& second) {
    with_types(target.tensor->dtype(), dy.dtype(), [&]<class Y, class T>(Type<Y>, Type<T>) {
      gradient<Y>(target, dy,
                  SlopeTerms<T>{slope, elements<const T>(dy), Operand<T>(first, dy),
                                Operand<T>(second, dy)});
    });
  };
  if (da) {
    const Slope slope = sum ? Slope::plus : op == BinaryOp::multiply ? Slope::times : Slope::over;
    run(da, slope, none, sum ? none : b);
  }
  if (!db) return;
  switch (op) {
    case BinaryOp::add:
      return run(db, Slope::plus, none, none);
    case BinaryOp::subtract:
      return run(db, Slope::minus, none, none);
    case BinaryOp::multiply:
      return run(db, Slope::times, none, a);
    case BinaryOp::divide:
      return run(db, Slope::quotient, a, b);
  }
}

}  // namespace folio::cuda
