#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "folio/kernels/cpu/parallel.h"
#include "folio/kernels/cpu/pieces.h"
#include "folio/kernels/cpu/types.h"
#include "folio/kernels/device_kernels.h"
#include "folio/kernels/views.h"

namespace folio::cpu {
namespace {

/// Calls f(Type<Y>(), Type<T>()) as with_types() does, and for i32.
template <class F>
void with_any_types(const GradTarget& y, const Tensor& x, const F& f) {
  if (x.dtype() == DType::i32) return f(Type<int32_t>(), Type<int32_t>());
  with_types(y.tensor->dtype(), x.dtype(), f);
}

/// y[i] = or += x[i].
template <class Y, class T>
void move_row(Y* y, const T* x, int64_t n, bool accumulate) {
  if (accumulate) {
    for (int64_t i = 0; i < n; ++i) y[i] = static_cast<Y>(y[i] + x[i]);
  } else if constexpr (std::is_same_v<Y, T>) {
    std::memcpy(y, x, static_cast<size_t>(n) * sizeof(T));
  } else {
    for (int64_t i = 0; i < n; ++i) y[i] = static_cast<Y>(x[i]);
  }
}

/// The offset in x of row `row` of y, counted over the first three dimensions.
int64_t first_of(const Permutation& p, int64_t row) {
  return row / (p.dim[1] * p.dim[2]) * p.stride[0] + row / p.dim[2] % p.dim[1] * p.stride[1] +
         row % p.dim[2] * p.stride[2];
}

/// Copies rows [begin, end) of y when the last axis of y is not the last axis of x, in square
/// blocks that use whole cache lines of x.
template <class Y, class T>
void transpose_rows(Y* y, const T* x, const Permutation& p, int64_t begin, int64_t end,
                    bool accumulate) {
  constexpr int64_t side = 64 / sizeof(T);
  const int64_t columns = p.dim[3];
  for (int64_t row = begin; row < end; row += side) {
    const int64_t last = std::min(row + side, end);
    for (int64_t column = 0; column < columns; column += side) {
      const int64_t width = std::min(side, columns - column);
      for (int64_t r = row; r < last; ++r) {
        Y* to = y + r * columns + column;
        const T* from = x + first_of(p, r) + column * p.stride[3];
        for (int64_t j = 0; j < width; ++j) {
          const T value = from[j * p.stride[3]];
          to[j] = accumulate ? static_cast<Y>(to[j] + value) : static_cast<Y>(value);
        }
      }
    }
  }
}

template <class Y, class T>
void permute_elements(GradTarget y, const Tensor& x, const std::array<int, 4>& axes) {
  const Permutation p(x.shape(), axes);
  const int64_t columns = p.dim[3], rows = p.dim[0] * p.dim[1] * p.dim[2];
  Y* out = y.tensor->data<Y>();
  const T* in = x.data<T>();
  parallel_for(rows, grain_rows(columns), [&](int64_t begin, int64_t end) {
    if (p.stride[3] != 1) return transpose_rows(out, in, p, begin, end, y.accumulate);
    for (int64_t row = begin; row < end; ++row) {
      move_row(out + row * columns, in + first_of(p, row), columns, y.accumulate);
    }
  });
}

template <class Y, class T>
void copy_range_elements(GradTarget y, int64_t y_start, const Tensor& x, int64_t x_start,
                         int64_t length, int axis) {
  const AxisView from(x.shape(), axis), to(y.tensor->shape(), axis);
  const int64_t run = length * from.inner;
  const T* in = x.data<T>() + x_start * from.inner;
  Y* out = y.tensor->data<Y>() + y_start * to.inner;
  // Few long runs are divided, so that every thread gets work.
  const int64_t piece = std::max<int64_t>(std::min(run, grain_elements), 1);
  const int64_t pieces = (run + piece - 1) / piece;
  parallel_for(from.outer * pieces, grain_rows(piece), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t outer = i / pieces, first = i % pieces * piece;
      move_row(out + outer * to.size * to.inner + first,
               in + outer * from.size * from.inner + first, std::min(piece, run - first),
               y.accumulate);
    }
  });
}

template <class T>
void gather(const Tensor& y, const Tensor& table, const Tensor& indices) {
  const int64_t columns = table.shape().columns();
  const int32_t* index = indices.data<int32_t>();
  const T* rows = table.data<T>();
  T* out = y.data<T>();
  parallel_for(indices.numel(), grain_rows(columns), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      move_row(out + i * columns, rows + index[i] * columns, columns, false);
    }
  });
}

/// Each thread processes its columns of dy in the order of the indices. No two threads write the
/// same element, so the sums are the same for any number of threads.
template <class Y, class T>
void scatter_add(GradTarget dtable, const Tensor& indices, const Tensor& dy) {
  const int64_t rows = dtable.tensor->dim(0), columns = dtable.tensor->dim(1);
  const int64_t count = indices.numel();
  const int32_t* index = indices.data<int32_t>();
  const T* in = dy.data<T>();
  Y* out = dtable.tensor->data<Y>();
  if (!dtable.accumulate) {
    parallel_for(rows, grain_rows(columns), [&](int64_t begin, int64_t end) {
      std::fill(out + begin * columns, out + end * columns, Y(0));
    });
  }
  constexpr int64_t line = 64 / sizeof(T);       // a cache line belongs to one thread
  constexpr int64_t worth_sharing = 256 * 1024;  // for fewer elements, partial rows cost more
  const int64_t part = (grain_rows(std::max<int64_t>(count, 1)) + line - 1) / line * line;
  const int64_t grain = count * columns < worth_sharing ? columns : part;
  parallel_for(columns, grain, [&](int64_t begin, int64_t end) {
    for (int64_t i = 0; i < count; ++i) {
      move_row(out + index[i] * columns + begin, in + i * columns + begin, end - begin, true);
    }
  });
}

template <class T>
void embed(const Tensor& y, const Tensor& tokens, const Tensor& table, const Tensor& positions) {
  const int64_t columns = table.shape().columns(), length = tokens.dim(-1);
  const int32_t* token = tokens.data<int32_t>();
  const T *token_rows = table.data<T>(), *position_rows = positions.data<T>();
  T* out = y.data<T>();
  parallel_for(tokens.numel(), grain_rows(columns), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const T *a = token_rows + token[i] * columns, *b = position_rows + i % length * columns;
      for (int64_t j = 0; j < columns; ++j) out[i * columns + j] = static_cast<T>(a[j] + b[j]);
    }
  });
}

}  // namespace

void permute(GradTarget y, const Tensor& x, const std::array<int, 4>& axes) {
  if (!y) return;
  with_any_types(y, x,
                 [&]<class Y, class T>(Type<Y>, Type<T>) { permute_elements<Y, T>(y, x, axes); });
}

void copy_range(GradTarget y, int64_t y_start, const Tensor& x, int64_t x_start, int64_t length,
                int axis) {
  if (!y) return;
  axis = x.shape().normalize_axis(axis);
  with_any_types(y, x, [&]<class Y, class T>(Type<Y>, Type<T>) {
    copy_range_elements<Y, T>(y, y_start, x, x_start, length, axis);
  });
}

void gather_rows(const Tensor& y, const Tensor& table, const Tensor& indices) {
  check_floating("gather_rows", table);
  with_type(table.dtype(), [&]<class T>(Type<T>) { gather<T>(y, table, indices); });
}

void scatter_add_rows(GradTarget dtable, const Tensor& indices, const Tensor& dy) {
  if (!dtable) return;
  check_floating("scatter_add_rows", dy);
  with_types(dtable.tensor->dtype(), dy.dtype(),
             [&]<class Y, class T>(Type<Y>, Type<T>) { scatter_add<Y, T>(dtable, indices, dy); });
}

void embedding_forward(const Tensor& y, const Tensor& tokens, const Tensor& table,
                       const Tensor& positions) {
  check_floating("embedding", table);
  with_type(table.dtype(), [&]<class T>(Type<T>) { embed<T>(y, tokens, table, positions); });
}

}  // namespace folio::cpu
