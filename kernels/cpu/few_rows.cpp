// A tile of dot products is held in registers while the inner dimension runs. Each has one vector
// of sums, so that its bits are the same in every tile.
#include "folio/kernels/cpu/few_rows.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "folio/kernels/cpu/few_rows.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "folio/kernels/cpu/vector-inl.h"

HWY_BEFORE_NAMESPACE();
namespace folio::cpu::HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

// Rows of A in a tile beside 4 of B: 16 sums where there are 32 registers, else 8.
inline constexpr int tile_rows = HWY_MAX_BYTES == 64 ? 4 : 2;

template <class T>
struct Rows {
  int64_t k;
  T alpha;
  const T* a;
  int64_t lda;
  const T* b;
  int64_t ldb;
  T beta;
  T* c;
  int64_t ldc;

  HWY_INLINE Rows at(int64_t row, int64_t column) const {
    Rows rows = *this;
    rows.a += row * lda;
    rows.b += column * ldb;
    rows.c += row * ldc + column;
    return rows;
  }
};

/// `rows` x `columns` elements of C.
template <int rows, int columns, class T>
HWY_INLINE void multiply_tile(const Rows<T>& task) {
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
    for (int r = 0; r < rows; ++r) x[r] = load(task.a + r * task.lda);
#pragma GCC unroll 16
    for (int j = 0; j < columns; ++j) {
      const V w = load(task.b + j * task.ldb);
#pragma GCC unroll 16
      for (int r = 0; r < rows; ++r) sum[r][j] = hn::MulAdd(x[r], w, sum[r][j]);
    }
  };
  int64_t p = 0;
  for (; p + lanes <= task.k; p += lanes) {
    add([&](const T* row) HWY_ATTR { return hn::LoadU(d, row + p); });
  }
  if (p < task.k) {
    add([&](const T* row) HWY_ATTR { return load_part(d, row + p, task.k - p); });
  }
#pragma GCC unroll 16
  for (int r = 0; r < rows; ++r) {
#pragma GCC unroll 16
    for (int j = 0; j < columns; ++j) {
      const T product = task.alpha * hn::GetLane(hn::SumOfLanes(d, sum[r][j]));
      T* c = task.c + r * task.ldc + j;
      *c = task.beta == T{0} ? product : product + task.beta * *c;
    }
  }
}

/// All m rows of `columns` columns of C.
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

void multiply_f32(int64_t m, int64_t n, int64_t k, float alpha, const float* a, int64_t lda,
                  const float* b, int64_t ldb, float beta, float* c, int64_t ldc) {
  multiply<float>(m, n, {k, alpha, a, lda, b, ldb, beta, c, ldc});
}
void multiply_f64(int64_t m, int64_t n, int64_t k, double alpha, const double* a, int64_t lda,
                  const double* b, int64_t ldb, double beta, double* c, int64_t ldc) {
  multiply<double>(m, n, {k, alpha, a, lda, b, ldb, beta, c, ldc});
}

}  // namespace
}  // namespace folio::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace folio::cpu {

HWY_EXPORT(multiply_f32);
HWY_EXPORT(multiply_f64);

void few_rows_gemm(int64_t m, int64_t n, int64_t k, float alpha, const float* a, int64_t lda,
                   const float* b, int64_t ldb, float beta, float* c, int64_t ldc) {
  HWY_DYNAMIC_DISPATCH(multiply_f32)(m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
}

void few_rows_gemm(int64_t m, int64_t n, int64_t k, double alpha, const double* a, int64_t lda,
                   const double* b, int64_t ldb, double beta, double* c, int64_t ldc) {
  HWY_DYNAMIC_DISPATCH(multiply_f64)(m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
}

}  // namespace folio::cpu
#endif
