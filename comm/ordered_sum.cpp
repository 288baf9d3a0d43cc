#include "folio/comm/ordered_sum.h"

#include <algorithm>
#include <array>

#include "folio/tensor/error.h"

namespace folio {
namespace {

/// Element type T, added in Sum. Block by block in the first cache: every input is read before the
/// block is written, so that one of them may be the sum itself.
template <class T, class Sum>
void add(GradTarget target, const std::vector<const void*>& inputs) {
  constexpr int64_t block = 2048;
  std::array<Sum, block> sums;
  T* out = target.tensor->data<T>();
  const int64_t count = target.tensor->numel();
  for (int64_t first = 0; first < count; first += block) {
    const int64_t n = std::min(block, count - first);
    bool begun = target.accumulate;
    if (begun)
      std::transform(out + first, out + first + n, sums.data(),
                     [](T x) { return static_cast<Sum>(x); });
    for (const void* input : inputs) {
      const T* x = static_cast<const T*>(input) + first;
      if (begun) {
        for (int64_t i = 0; i < n; ++i) sums[i] += static_cast<Sum>(x[i]);
      } else {
        for (int64_t i = 0; i < n; ++i) sums[i] = static_cast<Sum>(x[i]);
      }
      begun = true;
    }
    if (!begun) std::fill_n(sums.data(), n, Sum{});
    std::transform(sums.data(), sums.data() + n, out + first,
                   [](Sum x) { return static_cast<T>(x); });
  }
}

}  // namespace

void add_in_order(GradTarget sum, const std::vector<const void*>& inputs) {
  switch (sum.tensor->dtype()) {
    case DType::f32:
      return add<float, float>(sum, inputs);
    case DType::bf16:
      return add<bf16, float>(sum, inputs);
    case DType::i32:
      return add<int32_t, int32_t>(sum, inputs);
    case DType::f64:
      return add<double, double>(sum, inputs);
  }
}

}  // namespace folio
