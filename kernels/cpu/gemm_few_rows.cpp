// gemm_few_rows(): a tile of dot products is kept in registers over the inner dimension. Each dot
// product has one vector of partial sums, so that its bits are the same in every tile.
#include "folio/kernels/cpu/gemm_few_rows.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "folio/kernels/cpu/gemm_few_rows.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "folio/kernels/cpu/vector-inl.h"

HWY_BEFORE_NAMESPACE();
namespace folio::cpu::HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

// The number of rows of A in a tile with 4 rows of B: 16 sums if there are 32 registers, else 8.
inline constexpr int tile_rows = HWY_MAX_BYTES == 64 ? 4 : 2;

template <class T>
struct Rows {
  const MatrixProduct& product;
  const T *a, *b;
  T* c;

  HWY_INLINE Rows at(int64_t row, int64_t column) const {
    return {product, a + product.offset_a(row), b + product.offset_b(column),
            c + product.offset_c(row, column)};
  }
};

/// Computes `rows` x `columns` elements of C.
template <int rows, int columns, class T>
HWY_INLINE void multiply_tile(const Rows<T>& task) {
  const int64_t k = task.product.k, lda = task.product.lda, ldb = task.product.ldb;
  const hn::ScalableTag<T> d;
  using V = hn::Vec<decltype(d)>;
  const int64_t lanes = lanes_of(d);
  V sum[rows][columns];
#pragma GCC unroll 16
  for (int r = 0; r < rows; ++r) {
#pragma GCC unroll 16
    for (int j = 0; j < columns; ++j) sum[r][j] = hn::Zero(d);
  }
  const auto add = [&](const auto& load) HWY_ATTR {
    V x[rows];
#pragma GCC unroll 16
    for (int r = 0; r < rows; ++r) x[r] = load(task.a + r * lda);
#pragma GCC unroll 16
    for (int j = 0; j < columns; ++j) {
      const V w = load(task.b + j * ldb);
#pragma GCC unroll 16
      for (int r = 0; r < rows; ++r) sum[r][j] = hn::MulAdd(x[r], w, sum[r][j]);
    }
  };
  int64_t p = 0;
  for (; p + lanes <= k; p += lanes) {
    add([&](const T* row) HWY_ATTR { return hn::LoadU(d, row + p); });
  }
  if (p < k) {
    add([&](const T* row) HWY_ATTR { return load_part(d, row + p, k - p); });
  }
#pragma GCC unroll 16
  for (int r = 0; r < rows; ++r) {
#pragma GCC unroll 16
    for (int j = 0; j < columns; ++j) {
      const T dot = hn::GetLane(hn::SumOfLanes(d, sum[r][j]));
      T* c = task.c + task.product.offset_c(r, j);
      *c = task.product.accumulate ? dot + *c : dot;
    }
  }
}

/// Computes all m rows of `columns` columns of C.
template <int columns, class T>
HWY_INLINE void multiply_columns(int64_t m, const Rows<T>& task) {
  int64_t row = 0;
  if constexpr (columns <= 4) {
    for (; row + tile_rows <= m; row += tile_rows) {
      multiply_tile<tile_rows, columns>(task.at(row, 0));
    }
  }
  if constexpr (2 * columns <= 4 * tile_rows) {
    if (m - row >= 2) {
      multiply_tile<2, columns>(task.at(row, 0));
      row += 2;
    }
  }
  for (; row < m; ++row) multiply_tile<1, columns>(task.at(row, 0));
}

template <class T>
HWY_INLINE void multiply(int64_t m, int64_t n, const Rows<T>& task) {
  int64_t column = 0;
  if (m < tile_rows) {
    for (; column + 8 <= n; column += 8) multiply_columns<8>(m, task.at(0, column));
  }
  for (; column + 4 <= n; column += 4) multiply_columns<4>(m, task.at(0, column));
  for (; column < n; ++column) multiply_columns<1>(m, task.at(0, column));
}

void multiply_any(const MatrixProduct& p, const void* a, const void* b, void* c) {
  with_float_type(p.values, [&]<class T>(Type<T>) HWY_ATTR {
    multiply<T>(p.m, p.n,
                {p, static_cast<const T*>(a), static_cast<const T*>(b), static_cast<T*>(c)});
  });
}

}  // namespace
}  // namespace folio::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace folio::cpu {

HWY_EXPORT(multiply_any);

void gemm_few_rows(const MatrixProduct& p, const void* a, const void* b, void* c) {
  HWY_DYNAMIC_DISPATCH(multiply_any)(p, a, b, c);
}

}  // namespace folio::cpu
#endif
