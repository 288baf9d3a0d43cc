#include "folio/kernels/cpu/pieces.h"

#include <algorithm>

namespace folio::cpu {
namespace {

template <class Y, class T>
void add_pieces_of(Y* y, bool accumulate, const T* partial, int64_t columns, int64_t pieces,
                   int64_t stride) {
  constexpr int64_t block = 256;
  parallel_for(columns, std::max(block, grain_rows(pieces)), [&](int64_t begin, int64_t end) {
    double sums[block];
    for (int64_t first = begin; first < end; first += block) {
      const int64_t count = std::min(block, end - first);
      std::fill(sums, sums + count, 0.0);
      for (int64_t piece = 0; piece < pieces; ++piece) {
        const T* row = partial + piece * stride + first;
        for (int64_t i = 0; i < count; ++i) sums[i] += static_cast<double>(row[i]);
      }
      Y* out = y + first;
      for (int64_t i = 0; i < count; ++i) {
        const T sum = static_cast<T>(sums[i]);
        out[i] = static_cast<Y>(accumulate ? out[i] + sum : sum);
      }
    }
  });
}

}  // namespace

void add_pieces(GradTarget y, const Tensor& partial, int64_t first, int64_t pieces,
                int64_t stride) {
  with_type(y.tensor->dtype(), [&]<class Y>(Type<Y>) {
    add_pieces_of(elements<Y>(*y.tensor), y.accumulate, elements<Arithmetic<Y>>(partial) + first,
                  y.tensor->numel(), pieces, stride);
  });
}

}  // namespace folio::cpu
