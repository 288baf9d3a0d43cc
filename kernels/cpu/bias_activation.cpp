#include "folio/kernels/cpu/bias_activation.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "folio/kernels/cpu/bias_activation.cpp"
#include <hwy/foreach_target.h>

#include "folio/kernels/cpu/activation-inl.h"
#include "folio/kernels/cpu/vector-inl.h"

HWY_BEFORE_NAMESPACE();
namespace folio::cpu::HWY_NAMESPACE {
namespace {

/// Computes z += bias and y = Op(z) row by row, with one read and one or two writes.
template <class Op, class T>
void activate_rows(T* y, T* z, const T* bias, int64_t rows, int64_t columns, int64_t stride) {
  const bool keep = bias != nullptr && y != z;
  for (int64_t r = 0; r < rows; ++r, y += stride, z += stride) {
    for_each_vector<Arithmetic<T>>(columns, [&](const auto& at) FOLIO_SIMD {
      auto v = at.load(z);
      if (bias != nullptr) v = hn::Add(v, at.load(bias));
      if (keep) at.store(v, z);
      at.store(Op::forward(at.d, v), y);
    });
  }
}

template <class T>
HWY_INLINE void finish_rows(T* y, T* z, const T* bias, int64_t rows, int64_t columns,
                            int64_t stride, std::optional<UnaryOp> activation) {
  if (!activation) {
    for (int64_t r = 0; r < rows; ++r) {
      T* row = z + r * stride;
      map_vectors<false>(row, columns, plus, row, bias);
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
