#include <cstdint>

#include "folio/kernels/cpu/pieces.h"
#include "folio/kernels/device_kernels.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "folio/kernels/cpu/dropout.cpp"
#include <hwy/foreach_target.h>

#include "folio/kernels/cpu/random-inl.h"
#include "folio/kernels/cpu/vector-inl.h"

HWY_BEFORE_NAMESPACE();
namespace folio::cpu::HWY_NAMESPACE {
namespace {

void dropout_piece(GradTarget y, const Tensor& x, const DropoutMask& mask, int64_t begin,
                   int64_t end) {
  with_types(y.tensor->dtype(), x.dtype(), [&]<class Y, class T>(Type<Y>, Type<T>) HWY_ATTR {
    Y* out = elements<Y>(*y.tensor) + begin;
    const T* in = elements<const T>(x) + begin;
    const uint64_t first = mask.first_index + static_cast<uint64_t>(begin);
    if (y.accumulate) {
      dropout_vectors(out, in, end - begin, mask, first, static_cast<const Y*>(out));
    } else {
      dropout_vectors(out, in, end - begin, mask, first);
    }
  });
}

}  // namespace
}  // namespace folio::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace folio::cpu {

HWY_EXPORT(dropout_piece);

void dropout(GradTarget y, const Tensor& x, const DropoutMask& mask) {
  if (!y) return;
  if (mask.probability == 0.0) return copy(y, x);
  check_floating("dropout", x);
  parallel_for(x.numel(), grain_elements, [&](int64_t begin, int64_t end) {
    HWY_DYNAMIC_DISPATCH(dropout_piece)(y, x, mask, begin, end);
  });
}

}  // namespace folio::cpu
#endif
