// gemm_in_cache(): register-blocked matrix products for every instruction set. A tile of C is kept
// in registers over the inner dimension; elements of A are broadcast and multiplied by vectors of
// B.
#include "folio/kernels/cpu/gemm_in_cache.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "folio/kernels/cpu/gemm_in_cache.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "folio/kernels/cpu/vector-inl.h"

HWY_BEFORE_NAMESPACE();
namespace folio::cpu::HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

// A tile has tile_rows rows and up to 2 or 4 vectors: as many sums as leave registers for B and A.
#if HWY_CAP_GE512
inline constexpr int tile_rows = 6, tile_vectors = 4;
#else
inline constexpr int tile_rows = 6, tile_vectors = 2;
#endif

template <class T>
struct Block {
  int64_t k, row_stride,
      inner_stride;  // element (i, p) of op(A) is a[i * row_stride + p * inner_stride]
  const T* a;
  const T* b;
  T* c;
  int64_t ldb, ldc;
  bool accumulate;

  HWY_INLINE Block at(int64_t row, int64_t column) const {
    Block block = *this;
    block.a += row * row_stride;
    block.b += column;
    block.c += row * ldc + column;
    return block;
  }
};

/// Computes `rows` rows of `vectors` vectors of C; if `partial`, only `columns` lanes of the last
/// vector.
template <int rows, int vectors, bool partial, class T>
HWY_INLINE void multiply_tile(const Block<T>& block, int64_t columns) {
  const hn::ScalableTag<T> d;
  using V = hn::Vec<decltype(d)>;
  const int64_t lanes = lanes_of(d);
  V sum[rows][vectors];
#pragma GCC unroll 16
  for (int r = 0; r < rows; ++r) {
#pragma GCC unroll 16
    for (int v = 0; v < vectors; ++v) sum[r][v] = hn::Zero(d);
  }
  const T* a = block.a;
  const T* b = block.b;
  for (int64_t p = 0; p < block.k; ++p, a += block.inner_stride, b += block.ldb) {
    V x[vectors];
#pragma GCC unroll 16
    for (int v = 0; v < vectors; ++v) {
      x[v] = partial ? load_part(d, b + v * lanes, columns) : hn::LoadU(d, b + v * lanes);
    }
#pragma GCC unroll 16
    for (int r = 0; r < rows; ++r) {
      const V factor = hn::Set(d, a[r * block.row_stride]);
#pragma GCC unroll 16
      for (int v = 0; v < vectors; ++v) sum[r][v] = hn::MulAdd(factor, x[v], sum[r][v]);
    }
  }
#pragma GCC unroll 16
  for (int r = 0; r < rows; ++r) {
#pragma GCC unroll 16
    for (int v = 0; v < vectors; ++v) {
      T* c = block.c + r * block.ldc + v * lanes;
      if constexpr (partial) {
        if (block.accumulate) sum[r][v] = hn::Add(sum[r][v], load_part(d, c, columns));
        store_part(sum[r][v], d, c, columns);
      } else {
        if (block.accumulate) sum[r][v] = hn::Add(sum[r][v], hn::LoadU(d, c));
        hn::StoreU(sum[r][v], d, c);
      }
    }
  }
}

/// Computes all m rows of `vectors` vectors of C.
template <int vectors, bool partial, class T>
HWY_NOINLINE void multiply_columns(int64_t m, const Block<T>& block, int64_t columns) {
  int64_t row = 0;
  for (; row + tile_rows <= m; row += tile_rows) {
    multiply_tile<tile_rows, vectors, partial>(block.at(row, 0), columns);
  }
  if (m - row >= 4) {
    multiply_tile<4, vectors, partial>(block.at(row, 0), columns);
    row += 4;
  }
  if (m - row >= 2) {
    multiply_tile<2, vectors, partial>(block.at(row, 0), columns);
    row += 2;
  }
  if (row < m) multiply_tile<1, vectors, partial>(block.at(row, 0), columns);
}

template <class T>
HWY_INLINE void multiply_block(const MatrixProduct& p, const T* a, const T* b, T* c) {
  const int64_t m = p.m, n = p.n;
  const Block<T> block{
      p.k,         p.transpose_a ? 1 : p.lda, p.transpose_a ? p.lda : 1, a, b, c, p.ldb, p.ldc,
      p.accumulate};
  const int64_t lanes = lanes_of(hn::ScalableTag<T>());
  int64_t column = 0;
  for (; column + tile_vectors * lanes <= n; column += tile_vectors * lanes) {
    multiply_columns<tile_vectors, false>(m, block.at(0, column), 0);
  }
  if (tile_vectors > 3 && column + 3 * lanes <= n) {
    multiply_columns<3, false>(m, block.at(0, column), 0);
    column += 3 * lanes;
  }
  for (; column + 2 * lanes <= n; column += 2 * lanes) {
    multiply_columns<2, false>(m, block.at(0, column), 0);
  }
  if (column + lanes <= n) {
    multiply_columns<1, false>(m, block.at(0, column), 0);
    column += lanes;
  }
  if (column < n) multiply_columns<1, true>(m, block.at(0, column), n - column);
}

void multiply_any(const MatrixProduct& p, const void* a, const void* b, void* c) {
  with_float_type(p.values, [&]<class T>(Type<T>) HWY_ATTR {
    multiply_block(p, static_cast<const T*>(a), static_cast<const T*>(b), static_cast<T*>(c));
  });
}

/// Transposes rows [i0, i1) and columns [j0, j1) of x.
template <class T>
HWY_INLINE void transpose_part(int64_t i0, int64_t i1, int64_t j0, int64_t j1, const T* x,
                               int64_t ldx, T* y, int64_t ldy) {
  for (int64_t j = j0; j < j1; ++j) {
    for (int64_t i = i0; i < i1; ++i) y[j * ldy + i] = x[i * ldx + j];
  }
}

#if HWY_TARGET == HWY_SCALAR
HWY_INLINE void transpose_16(const float* x, int64_t ldx, float* y, int64_t ldy) {
  transpose_part(0, 16, 0, 16, x, ldx, y, ldy);
}
#else
/// y (4, 4) = the transpose of x (4, 4).
HWY_INLINE void transpose_4(const float* x, int64_t ldx, float* y, int64_t ldy) {
  const hn::FixedTag<float, 4> d;
  const auto x0 = hn::LoadU(d, x), x1 = hn::LoadU(d, x + ldx);
  const auto x2 = hn::LoadU(d, x + 2 * ldx), x3 = hn::LoadU(d, x + 3 * ldx);
  const auto lower02 = hn::InterleaveLower(d, x0, x2), lower13 = hn::InterleaveLower(d, x1, x3);
  const auto upper02 = hn::InterleaveUpper(d, x0, x2), upper13 = hn::InterleaveUpper(d, x1, x3);
  hn::StoreU(hn::InterleaveLower(d, lower02, lower13), d, y);
  hn::StoreU(hn::InterleaveUpper(d, lower02, lower13), d, y + ldy);
  hn::StoreU(hn::InterleaveLower(d, upper02, upper13), d, y + 2 * ldy);
  hn::StoreU(hn::InterleaveUpper(d, upper02, upper13), d, y + 3 * ldy);
}

HWY_INLINE void transpose_16(const float* x, int64_t ldx, float* y, int64_t ldy) {
  for (int64_t j = 0; j < 16; j += 4) {
    for (int64_t i = 0; i < 16; i += 4) transpose_4(x + i * ldx + j, ldx, y + j * ldy + i, ldy);
  }
}
#endif
HWY_INLINE void transpose_16(const double* x, int64_t ldx, double* y, int64_t ldy) {
  transpose_part(0, 16, 0, 16, x, ldx, y, ldy);
}

void transpose_any(DType dtype, int64_t rows, int64_t columns, const void* from, int64_t ldx,
                   void* to, int64_t ldy) {
  with_float_type(dtype, [&]<class T>(Type<T>) HWY_ATTR {
    const T* x = static_cast<const T*>(from);
    T* y = static_cast<T*>(to);
    const int64_t whole_columns = columns / 16 * 16;
    int64_t i = 0;
    for (; i + 16 <= rows; i += 16) {
      for (int64_t j = 0; j < whole_columns; j += 16) {
        transpose_16(x + i * ldx + j, ldx, y + j * ldy + i, ldy);
      }
      transpose_part(i, i + 16, whole_columns, columns, x, ldx, y, ldy);
    }
    transpose_part(i, rows, 0, columns, x, ldx, y, ldy);
  });
}

}  // namespace
}  // namespace folio::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace folio::cpu {

HWY_EXPORT(multiply_any);
HWY_EXPORT(transpose_any);

void gemm_in_cache(const MatrixProduct& p, const void* a, const void* b, void* c) {
  HWY_DYNAMIC_DISPATCH(multiply_any)(p, a, b, c);
}

void transpose_in_cache(DType dtype, int64_t rows, int64_t columns, const void* x, int64_t ldx,
                        void* y, int64_t ldy) {
  HWY_DYNAMIC_DISPATCH(transpose_any)(dtype, rows, columns, x, ldx, y, ldy);
}

}  // namespace folio::cpu
#endif
