#include <algorithm>
#include <cstdint>

#include "folio/kernels/cpu/pieces.h"
#include "folio/kernels/device_kernels.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "folio/kernels/cpu/reduce.cpp"
#include <hwy/foreach_target.h>

#include "folio/kernels/cpu/vector-inl.h"

HWY_BEFORE_NAMESPACE();
namespace folio::cpu::HWY_NAMESPACE {
namespace {

double sum_piece(const Tensor& x, int64_t begin, int64_t end) {
  double sum = 0.0;
  with_type(x.dtype(), [&]<class T>(Type<T>) HWY_ATTR {
    sum = sum_vectors<T>(end - begin, identity, elements<const T>(x) + begin);
  });
  return sum;
}

void spread_piece(GradTarget dx, const Tensor& dy, double factor, int64_t begin, int64_t end,
                  int64_t columns) {
  with_types(dx.tensor->dtype(), dy.dtype(), [&]<class Y, class T>(Type<Y>, Type<T>) HWY_ATTR {
    const T* from = elements<const T>(dy);
    for (int64_t r = begin; r < end; ++r) {
      using A = Arithmetic<T>;
      const Same<A> same{static_cast<A>(factor * static_cast<double>(from[r]))};
      map_vectors(dx.accumulate, elements<Y>(*dx.tensor) + r * columns, columns, identity, same);
    }
  });
}

/// out[0, n) = or += the sum of `rows` rows of x, which are `stride` elements apart.
template <class T>
HWY_INLINE void add_rows(Arithmetic<T>* out, bool accumulate, const T* x, int64_t rows, int64_t n,
                         int64_t stride) {
  const auto sum_of_four = [](auto, auto a, auto b, auto c, auto d)
                               FOLIO_SIMD { return hn::Add(hn::Add(a, b), hn::Add(c, d)); };
  int64_t r = 0;
  for (; r + 4 <= rows; r += 4, accumulate = true) {
    const T* row = x + r * stride;
    map_vectors(accumulate, out, n, sum_of_four, row, row + stride, row + 2 * stride,
                row + 3 * stride);
  }
  for (; r < rows; ++r, accumulate = true) {
    map_vectors(accumulate, out, n, identity, x + r * stride);
  }
}

void add_rows_piece(const Tensor& out, int64_t offset, bool accumulate, const Tensor& x,
                    int64_t first, int64_t rows, int64_t n, int64_t stride) {
  with_type(x.dtype(), [&]<class T>(Type<T>) HWY_ATTR {
    add_rows(elements<Arithmetic<T>>(out) + offset, accumulate, elements<const T>(x) + first, rows,
             n, stride);
  });
}

}  // namespace
}  // namespace folio::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace folio::cpu {

HWY_EXPORT(sum_piece);
HWY_EXPORT(spread_piece);
HWY_EXPORT(add_rows_piece);

namespace {

void add_all_rows(GradTarget y, const Tensor& x, int64_t rows, int64_t columns) {
  check_floating("sum", x);
  sum_columns(y, rows, columns,
              [&](const Tensor& out, int64_t offset, bool accumulate, int64_t row, int64_t row_end,
                  int64_t column, int64_t column_end) {
                HWY_DYNAMIC_DISPATCH(add_rows_piece)
                (out, offset, accumulate, x, row * columns + column, row_end - row,
                 column_end - column, columns);
              });
}

}  // namespace

void sum_forward(const Tensor& y, const Tensor& x, double factor) {
  check_floating("sum", x);
  if (y.numel() == 1) {
    set_element(
        y, 0, factor * sum_over_pieces(x.numel(), grain_elements, [&](int64_t begin, int64_t end) {
                return HWY_DYNAMIC_DISPATCH(sum_piece)(x, begin, end);
              }));
    return;
  }
  const int64_t columns = x.shape().columns();
  parallel_for(x.shape().rows(), grain_rows(columns), [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      const double sum = HWY_DYNAMIC_DISPATCH(sum_piece)(x, r * columns, (r + 1) * columns);
      set_element(y, r, factor * sum);
    }
  });
}

void sum_backward(GradTarget dx, const Tensor& dy, double factor) {
  if (!dx) return;
  check_floating("sum", dy);
  const int64_t rows = dy.numel();
  const int64_t columns = dx.tensor->numel() / std::max<int64_t>(1, rows);
  if (rows == 1) {
    const Tensor& out = *dx.tensor;
    parallel_for(columns, grain_elements, [&](int64_t begin, int64_t end) {
      const Tensor part = out.view(begin, {end - begin});
      HWY_DYNAMIC_DISPATCH(spread_piece)({&part, dx.accumulate}, dy, factor, 0, 1, end - begin);
    });
    return;
  }
  parallel_for(rows, grain_rows(columns), [&](int64_t begin, int64_t end) {
    HWY_DYNAMIC_DISPATCH(spread_piece)(dx, dy, factor, begin, end, columns);
  });
}

void sum_rows(GradTarget y, const Tensor& x) {
  if (y) add_all_rows(y, x, x.shape().rows(), x.shape().columns());
}

void sum_first(GradTarget y, const Tensor& x) {
  if (y) add_all_rows(y, x, x.numel() / std::max<int64_t>(1, y.tensor->numel()), y.tensor->numel());
}

}  // namespace folio::cpu
#endif
