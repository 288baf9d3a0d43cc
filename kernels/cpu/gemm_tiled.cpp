// Products of f32 and f64, tile by tile. The tiles depend on the shape alone and each is computed
// by one thread, so the result has the same bits for any number of threads. (oneDNN's own division
// among threads does not guarantee that: with k = 768 and few rows, 1, 2, 3 and 8 threads give
// different last bits.)
#ifdef FOLIO_HAVE_ONEDNN
#include <oneapi/dnnl/dnnl.h>
#endif

#include <Eigen/Core>
#include <algorithm>
#include <cstdint>
#include <utility>

#include "folio/kernels/cpu/gemm.h"
#include "folio/kernels/cpu/gemm_few_rows.h"
#include "folio/kernels/cpu/parallel.h"
#include "folio/tensor/error.h"

namespace folio::cpu {
namespace {

template <class T>
using Matrix = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
template <class T>
using Strided = Eigen::Map<T, Eigen::Unaligned, Eigen::OuterStride<>>;

template <class T, class A, class B>
void multiply_eigen(const MatrixProduct& p, const A& a, const B& b, T* c_data) {
  Strided<Matrix<T>> c(c_data, p.m, p.n, Eigen::OuterStride<>(p.ldc));
  if (p.accumulate) {
    c.noalias() += a * b;
  } else {
    c.noalias() = a * b;
  }
}

template <class T, class A>
void multiply_eigen(const MatrixProduct& p, const A& a, const T* b_data, T* c) {
  const int64_t rows = p.transpose_b ? p.n : p.k, columns = p.transpose_b ? p.k : p.n;
  const Strided<const Matrix<T>> b(b_data, rows, columns, Eigen::OuterStride<>(p.ldb));
  if (p.transpose_b) {
    multiply_eigen(p, a, b.transpose(), c);
  } else {
    multiply_eigen(p, a, b, c);
  }
}

/// Computes one tile on the calling thread.
template <class T>
void multiply(const MatrixProduct& p, const T* a_data, const T* b, T* c) {
  const int64_t rows = p.transpose_a ? p.k : p.m, columns = p.transpose_a ? p.m : p.k;
  const Strided<const Matrix<T>> a(a_data, rows, columns, Eigen::OuterStride<>(p.lda));
  if (p.transpose_a) {
    multiply_eigen(p, a.transpose(), b, c);
  } else {
    multiply_eigen(p, a, b, c);
  }
}

#ifdef FOLIO_HAVE_ONEDNN
template <>
void multiply<float>(const MatrixProduct& p, const float* a, const float* b, float* c) {
  const OneThread one_thread(!in_parallel_region());
  const dnnl_status_t status =
      dnnl_sgemm(p.transpose_a ? 'T' : 'N', p.transpose_b ? 'T' : 'N', p.m, p.n, p.k, 1.0f, a,
                 p.lda, b, p.ldb, p.accumulate ? 1.0f : 0.0f, c, p.ldc);
  FOLIO_CHECK(status == dnnl_success, "gemm",
              "oneDNN failed at m = {}, n = {}, k = {}; is memory exhausted?", p.m, p.n, p.k);
}
#endif

struct Tiles {
  int64_t rows, columns;              // of a tile
  int64_t count_rows, count_columns;  // of tiles
};

int64_t divide_up(int64_t a, int64_t b) { return (a + b - 1) / b; }

/// Divides `size` into at most `count` equal parts of a multiple of `unit`, which is what the
/// library's innermost loops process at a time. Returns the size of a part and their number.
std::pair<int64_t, int64_t> equal_parts(int64_t size, int64_t count, int64_t unit) {
  const int64_t part = divide_up(divide_up(size, count), unit) * unit;
  return {part, divide_up(size, part)};
}

/// Tiles that fit in the second-level cache; several of them if the work is worth a second thread.
/// Measured: packing costs least with tall tiles if k is large, and with 192 rows if k is small.
Tiles choose_tiles(int64_t m, int64_t n, int64_t k) {
  constexpr int64_t worth_sharing = 1'000'000;  // multiplications: about 10 us
  if (m * n < divide_up(worth_sharing, k)) return {m, n, 1, 1};
  constexpr int64_t tile_columns = 512, few = 4;
  int64_t tile_rows = k <= 512 ? 192 : k <= 1024 ? 256 : 512;
  int64_t count_columns = divide_up(n, tile_columns);
  while (tile_rows > 128 && divide_up(m, tile_rows) * count_columns < few) tile_rows /= 2;
  int64_t count_rows = divide_up(m, tile_rows);
  // With an odd number of tiles one of two cores would wait for the other's last tile.
  const int64_t count = count_rows * count_columns;
  if (count < 2 * few && count % 2 == 1) {
    (m / count_rows >= n / count_columns ? count_rows : count_columns) += 1;
  }
  const auto [rows, row_tiles] = equal_parts(m, count_rows, 8);
  const auto [columns, column_tiles] = equal_parts(n, count_columns, 48);
  return {rows, columns, row_tiles, column_tiles};
}

/// Tiles for gemm_few_rows(): all rows, and as many columns as are worth a second thread.
Tiles choose_column_tiles(int64_t m, int64_t n, int64_t k) {
  constexpr int64_t worth_sharing = 128 * 1024;  // multiplications: about 5 us
  const int64_t count = std::max<int64_t>(1, m * n * k / worth_sharing);
  const auto [columns, column_tiles] = equal_parts(n, count, 8);
  return {m, columns, 1, column_tiles};
}

}  // namespace

template <class T>
void gemm_tiled(const MatrixProduct& p, const T* a, const T* b, T* c, const TileDone& done) {
  if (p.m == 0 || p.n == 0) return;
  if (p.k == 0) {
    for (int64_t i = 0; i < p.m && !p.accumulate; ++i) std::fill_n(c + i * p.ldc, p.n, T{0});
    if (done) done(0, p.m, 0, p.n);
    return;
  }
  const bool few_rows = p.m <= most_few_rows && !p.transpose_a && p.transpose_b;
  const Tiles tiles = few_rows ? choose_column_tiles(p.m, p.n, p.k) : choose_tiles(p.m, p.n, p.k);
  const int64_t count = tiles.count_rows * tiles.count_columns;
  FirstError error;
  const auto multiply_tile = [&](int64_t tile) {
    const int64_t row = tile / tiles.count_columns * tiles.rows;
    const int64_t column = tile % tiles.count_columns * tiles.columns;
    MatrixProduct part = p;
    part.m = std::min(tiles.rows, p.m - row);
    part.n = std::min(tiles.columns, p.n - column);
    const T *part_a = a + p.offset_a(row), *part_b = b + p.offset_b(column);
    T* part_c = c + p.offset_c(row, column);
    if (few_rows) {
      gemm_few_rows(part, part_a, part_b, part_c);
    } else {
      multiply(part, part_a, part_b, part_c);
    }
    if (done) done(row, part.m, column, part.n);
  };
  if (count == 1) {  // no team of threads, not even a team of one
    multiply_tile(0);
  } else {
#pragma omp parallel for schedule(dynamic, 1) if (!in_parallel_region())
    for (int64_t tile = 0; tile < count; ++tile) error.guard([&] { multiply_tile(tile); });
  }
  error.rethrow();
}

template void gemm_tiled(const MatrixProduct&, const float*, const float*, float*, const TileDone&);
template void gemm_tiled(const MatrixProduct&, const double*, const double*, double*,
                         const TileDone&);

}  // namespace folio::cpu
