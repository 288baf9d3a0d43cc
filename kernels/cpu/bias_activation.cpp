#include "folio/kernels/cpu/bias_activation.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "folio/kernels/cpu/bias_activation.cpp"
#include <hwy/foreach_target.h>

#include "folio/kernels/cpu/activation-inl.h"
#include "folio/kernels/cpu/vector-inl.h"

HWY_BEFORE_NAMESPACE();
namespace folio::cpu::HWY_NAMESPACE {
namespace {

struct Add {
  template <class D, class V>
  HWY_INLINE V operator()(D, V x, V bias) const {
    return hn::Add(x, bias);
  }
};

/// Computes one row, z += bias and y = Op(z), with one read and one or two writes.
template <class Op, class T>
HWY_INLINE void activate_row(T* y, T* z, const T* bias, int64_t columns) {
  const hn::ScalableTag<Arithmetic<T>> d;
  const int64_t lanes = lanes_of(d);
  const T* in = z;
  const bool keep = bias != nullptr && y != z;
  int64_t i = 0;
  for (; i + lanes <= columns; i += lanes) {
    auto v = load_all(d, in + i);
    if (bias != nullptr) v = hn::Add(v, load_all(d, bias + i));
    if (keep) store_all(v, d, z + i);
    store_all(Op::forward(d, v), d, y + i);
  }
  if (i < columns) {
    auto v = load_part(d, in + i, columns - i);
    if (bias != nullptr) v = hn::Add(v, load_part(d, bias + i, columns - i));
    if (keep) store_part(v, d, z + i, columns - i);
    store_part(Op::forward(d, v), d, y + i, columns - i);
  }
}

template <class Op, class T>
void activate_rows(T* y, T* z, const T* bias, int64_t rows, int64_t columns, int64_t stride) {
  for (int64_t r = 0; r < rows; ++r) {
    activate_row<Op>(y + r * stride, z + r * stride, bias, columns);
  }
}

template <class T>
HWY_INLINE void finish_rows(T* y, T* z, const T* bias, int64_t rows, int64_t columns,
                            int64_t stride, std::optional<UnaryOp> activation) {
  if (!activation) {
    for (int64_t r = 0; r < rows; ++r) {
      T* row = z + r * stride;
      map_vectors<false>(row, columns, Add(), static_cast<const T*>(row), bias);
    }
    return;
  }
  switch (*activation) {
    case UnaryOp::relu:
      return activate_rows<Relu>(y, z, bias, rows, columns, stride);
    case UnaryOp::gelu:
      return activate_rows<Gelu>(y, z, bias, rows, columns, stride);
    case UnaryOp::gelu_tanh:
      return activate_rows<GeluTanh>(y, z, bias, rows, columns, stride);
    default:
      return;  // excluded by is_activation()
  }
}

void finish_piece(DType dtype, void* y, void* z, const void* bias, int64_t rows, int64_t columns,
                  int64_t stride, std::optional<UnaryOp> activation) {
  with_type(dtype, [&]<class T>(Type<T>) HWY_ATTR {
    finish_rows(static_cast<T*>(y), static_cast<T*>(z), static_cast<const T*>(bias), rows, columns,
                stride, activation);
  });
}

}  // namespace
}  // namespace folio::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace folio::cpu {

HWY_EXPORT(finish_piece);

void bias_activation(DType dtype, void* y, void* z, const void* bias, int64_t rows, int64_t columns,
                     int64_t stride, std::optional<UnaryOp> activation) {
  if (bias == nullptr && !activation) return;
  HWY_DYNAMIC_DISPATCH(finish_piece)(dtype, y, z, bias, rows, columns, stride, activation);
}

bool is_activation(UnaryOp op) {
  return op == UnaryOp::relu || op == UnaryOp::gelu || op == UnaryOp::gelu_tanh;
}

}  // namespace folio::cpu
#endif
