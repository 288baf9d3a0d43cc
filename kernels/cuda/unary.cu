#include <cstdint>

#include "folio/kernels/cuda/elementwise.h"
#include "folio/kernels/device_kernels.h"

namespace folio::cuda {
namespace {

struct Value {
  UnaryOp op;
  explicit Value(UnaryOp op) : op(op) {}
  __device__ float operator()(int64_t, float x) const { return unary_value(op, x); }
};

/// dy times the derivative, from x or y, whichever it is a function of.
struct SlopeOf {
  UnaryOp op;
  explicit SlopeOf(UnaryOp op) : op(op) {}
  __device__ float operator()(int64_t, float kept, float dy) const {
    return dy * unary_slope(op, kept, kept);
  }
};

}  // namespace

void unary_forward(UnaryOp op, const Tensor& y, const Tensor& x) {
  check_floating("unary", x);
  with_type(x.dtype(), [&]<class T>(Type<T>) {
    map_elements("unary_forward", elements<T>(y), x.numel(), false, Value(op),
                 elements<const T>(x));
  });
}

void unary_backward(UnaryOp op, GradTarget dx, const Tensor& x, const Tensor& y, const Tensor& dy) {
  if (!dx) return;
  check_floating("unary", dy);
  const Tensor& kept = slope_from_output(op) ? y : x;
  with_types(dx.tensor->dtype(), dy.dtype(), [&]<class Y, class T>(Type<Y>, Type<T>) {
    map_elements("unary_backward", elements<Y>(*dx.tensor), dy.numel(), dx.accumulate, SlopeOf(op),
                 elements<const T>(kept), elements<const T>(dy));
  });
}

}  // namespace folio::cuda
