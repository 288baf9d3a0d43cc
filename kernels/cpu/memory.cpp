#include <algorithm>
#include <cstdint>
#include <cstring>

#include "folio/kernels/cpu/pieces.h"
#include "folio/kernels/device_kernels.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "folio/kernels/cpu/memory.cpp"
#include <hwy/foreach_target.h>

#include "folio/kernels/cpu/vector-inl.h"

HWY_BEFORE_NAMESPACE();
namespace folio::cpu::HWY_NAMESPACE {
namespace {

void scale_piece(GradTarget y, const Tensor& x, double factor, int64_t begin, int64_t end) {
  with_types(y.tensor->dtype(), x.dtype(), [&]<class Y, class T>(Type<Y>, Type<T>) HWY_ATTR {
    using A = Arithmetic<T>;
    map_vectors(y.accumulate, elements<Y>(*y.tensor) + begin, end - begin,
                times_constant(static_cast<A>(factor)), elements<const T>(x) + begin);
  });
}

void round_piece(const Tensor& y, const Tensor& x, int64_t begin, int64_t end) {
  map_vectors<false>(elements<bf16>(y) + begin, end - begin, identity,
                     elements<const float>(x) + begin);
}

}  // namespace
}  // namespace folio::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace folio::cpu {

HWY_EXPORT(scale_piece);
HWY_EXPORT(round_piece);

namespace {

/// Elements are independent, so the pieces may be of any size. Below this number, two cores are no
/// faster than one (2.4 us).
int64_t grain_of(int64_t count) {
  constexpr int64_t worth_sharing = 64 * 1024;
  return count < worth_sharing ? count : grain_elements;
}

template <class T>
void fill_elements(const Tensor& y, T value) {
  T* out = static_cast<T*>(y.raw());
  parallel_for(y.numel(), grain_of(y.numel()),
               [&](int64_t begin, int64_t end) { std::fill(out + begin, out + end, value); });
}

}  // namespace

void fill(const Tensor& y, double value) {
  switch (y.dtype()) {
    case DType::f32:
      return fill_elements(y, static_cast<float>(value));
    case DType::f64:
      return fill_elements(y, value);
    case DType::i32:
      return fill_elements(y, static_cast<int32_t>(value));
    case DType::bf16:
      return fill_elements(y, bf16(static_cast<float>(value)));
  }
}

void copy(GradTarget y, const Tensor& x) {
  if (!y) return;
  if (y.tensor->dtype() == DType::bf16 && x.dtype() == DType::f32 && !y.accumulate) {
    parallel_for(x.numel(), grain_elements, [&](int64_t begin, int64_t end) {
      HWY_DYNAMIC_DISPATCH(round_piece)(*y.tensor, x, begin, end);
    });
    return;
  }
  if (y.accumulate || y.tensor->dtype() != x.dtype()) {
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
