#include <bit>
#include <cstring>

#include "folio/kernels/cpu/pieces.h"
#include "folio/kernels/cpu/table.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "folio/kernels/cpu/memory.cpp"
#include <hwy/foreach_target.h>

#include "folio/kernels/cpu/vector-inl.h"

HWY_BEFORE_NAMESPACE();
namespace folio::cpu::HWY_NAMESPACE {
namespace {

template <class T>
HWY_INLINE void scaled(GradTarget y, const Tensor& x, double factor, int64_t begin, int64_t end) {
  map_vectors(y.accumulate, elements<T>(*y.tensor) + begin, end - begin,
              Scaled<T>{static_cast<T>(factor)}, elements<T>(x) + begin);
}

void scale_piece(GradTarget y, const Tensor& x, double factor, int64_t begin, int64_t end) {
  if (x.dtype() == DType::f32) {
    scaled<float>(y, x, factor, begin, end);
  } else {
    scaled<double>(y, x, factor, begin, end);
  }
}

}  // namespace
}  // namespace folio::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace folio::cpu {

HWY_EXPORT(scale_piece);

namespace {

/// Elements do not meet here, so the pieces are free to be chosen. Of so many, two cores copy no
/// more in the same time (2.4 us) than one does.
int64_t grain_of(int64_t count) {
  constexpr int64_t worth_sharing = 64 * 1024;
  return count < worth_sharing ? count : grain_elements;
}

template <class T>
void fill_elements(const Tensor& y, T value) {
  T* out = static_cast<T*>(y.raw());
  parallel_for(y.numel(), grain_of(y.numel()), [&](int64_t begin, int64_t end) {
    std::fill(out + begin, out + end, value);
  });
}

/// The nearest bf16's bits, to even where two are as near.
uint16_t bf16_bits(float value) {
  if (value != value) return 0x7FC0;
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  return static_cast<uint16_t>((bits + 0x7FFFu + ((bits >> 16) & 1u)) >> 16);
}

}  // namespace

void fill(const Tensor& y, double value) {
  switch (y.dtype()) {
    case DType::f32: return fill_elements(y, static_cast<float>(value));
    case DType::f64: return fill_elements(y, value);
    case DType::i32: return fill_elements(y, static_cast<int32_t>(value));
    case DType::bf16: return fill_elements(y, bf16_bits(static_cast<float>(value)));
  }
}

void copy(GradTarget y, const Tensor& x) {
  if (!y) return;
  if (y.accumulate) {
    check_floating("copy", x);
    parallel_for(x.numel(), grain_of(x.numel()), [&](int64_t begin, int64_t end) {
      HWY_DYNAMIC_DISPATCH(scale_piece)(y, x, 1.0, begin, end);
    });
    return;
  }
  if (y.tensor->raw() == x.raw()) return;
  char* out = static_cast<char*>(y.tensor->raw());
  const char* in = static_cast<const char*>(x.raw());
  const auto width = static_cast<int64_t>(size_of(x.dtype()));
  parallel_for(x.numel(), grain_of(x.numel()), [&](int64_t begin, int64_t end) {
    std::memcpy(out + begin * width, in + begin * width,
                static_cast<size_t>((end - begin) * width));
  });
}

void scale(GradTarget y, const Tensor& x, const Tensor& factor) {
  if (!y) return;
  check_floating("scale", x);
  const double value = factor.item();
  if (value == 1.0 && !y.accumulate && y.tensor->raw() == x.raw()) return;
  parallel_for(x.numel(), grain_of(x.numel()), [&](int64_t begin, int64_t end) {
    HWY_DYNAMIC_DISPATCH(scale_piece)(y, x, value, begin, end);
  });
}

}  // namespace folio::cpu
#endif
