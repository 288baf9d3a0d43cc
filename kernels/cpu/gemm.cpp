// Matrix products tile by tile: the tiles depend on the shape alone and each is one thread's work,
// so the result has the same bits for any number of threads. (oneDNN dividing a product among
// threads itself does not: with k = 768 and few rows 1, 2, 3 and 8 threads give other last bits.)
#include "folio/kernels/cpu/gemm.h"

#ifdef FOLIO_HAVE_ONEDNN
#include <oneapi/dnnl/dnnl.h>
#endif
#ifdef _OPENMP
#include <omp.h>
#endif

#include <Eigen/Core>
#include <algorithm>
#include <utility>

#include "folio/kernels/cpu/few_rows.h"
#include "folio/kernels/cpu/parallel.h"
#include "folio/tensor/error.h"

namespace folio::cpu {
namespace {

/// C (m, n) = alpha op(A) op(B) + beta C, with the meanings of gemm.h.
template <class T>
struct Product {
  bool transpose_a, transpose_b;
  int64_t m, n, k;
  T alpha;
  const T* a;
  int64_t lda;
  const T* b;
  int64_t ldb;
  T beta;
  T* c;
  int64_t ldc;

  /// The same for `rows` rows and `columns` columns of C from (row, column) on.
  Product part(int64_t row, int64_t rows, int64_t column, int64_t columns) const {
    Product p = *this;
    p.m = rows;
    p.n = columns;
    p.a += transpose_a ? row : row * lda;
    p.b += transpose_b ? column * ldb : column;
    p.c += row * ldc + column;
    return p;
  }
};

template <class T>
using Matrix = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
template <class T>
using Strided = Eigen::Map<T, Eigen::Unaligned, Eigen::OuterStride<>>;

template <class T, class A, class B>
void multiply_eigen(const Product<T>& p, const A& a, const B& b) {
  Strided<Matrix<T>> c(p.c, p.m, p.n, Eigen::OuterStride<>(p.ldc));
  if (p.beta == T{0}) {
    c.noalias() = p.alpha * (a * b);
    return;
  }
  if (p.beta != T{1}) c *= p.beta;
  c.noalias() += p.alpha * (a * b);
}

template <class T, class A>
void multiply_eigen(const Product<T>& p, const A& a) {
  const int64_t rows = p.transpose_b ? p.n : p.k, columns = p.transpose_b ? p.k : p.n;
  const Strided<const Matrix<T>> b(p.b, rows, columns, Eigen::OuterStride<>(p.ldb));
  if (p.transpose_b) {
    multiply_eigen(p, a, b.transpose());
  } else {
    multiply_eigen(p, a, b);
  }
}

/// One tile, on the calling thread.
template <class T>
void multiply(const Product<T>& p) {
  const int64_t rows = p.transpose_a ? p.k : p.m, columns = p.transpose_a ? p.m : p.k;
  const Strided<const Matrix<T>> a(p.a, rows, columns, Eigen::OuterStride<>(p.lda));
  if (p.transpose_a) {
    multiply_eigen(p, a.transpose());
  } else {
    multiply_eigen(p, a);
  }
}

#ifdef FOLIO_HAVE_ONEDNN
/// Keeps oneDNN on the calling thread where no parallel region does so already.
class OneThread {
 public:
#ifdef _OPENMP
  OneThread() : threads_(omp_in_parallel() ? 0 : omp_get_max_threads()) {
    if (threads_ > 1) omp_set_num_threads(1);
  }
  ~OneThread() {
    if (threads_ > 1) omp_set_num_threads(threads_);
  }

 private:
  int threads_;
#else
  OneThread() {}  // without OpenMP oneDNN's threads are not ours to set
#endif
};

template <>
void multiply<float>(const Product<float>& p) {
  const OneThread one_thread;
  const dnnl_status_t status =
      dnnl_sgemm(p.transpose_a ? 'T' : 'N', p.transpose_b ? 'T' : 'N', p.m, p.n, p.k, p.alpha, p.a,
                 p.lda, p.b, p.ldb, p.beta, p.c, p.ldc);
  FOLIO_CHECK(status == dnnl_success, "gemm",
              "oneDNN failed at m = {}, n = {}, k = {}; is memory exhausted?", p.m, p.n, p.k);
}
#endif

struct Tiles {
  int64_t rows, columns;              // of a tile
  int64_t count_rows, count_columns;  // of tiles
};

int64_t divide_up(int64_t a, int64_t b) { return (a + b - 1) / b; }

/// `count` equal parts of `size`, rounded to what the library's innermost loops take at once.
std::pair<int64_t, int64_t> equal_parts(int64_t size, int64_t count, int64_t unit) {
  const int64_t part = divide_up(divide_up(size, count), unit) * unit;
  return {part, divide_up(size, part)};
}

/// Tiles that the second cache holds, several of them where the work is worth a second thread.
/// Measured: packing costs least with tall tiles where k is large; where it is small, 192 rows do.
Tiles choose_tiles(int64_t m, int64_t n, int64_t k) {
  constexpr int64_t worth_sharing = 1'000'000;  // multiplications: about 10 us
  if (m * n < divide_up(worth_sharing, k)) return {m, n, 1, 1};
  constexpr int64_t tile_columns = 512, few = 4;
  int64_t tile_rows = k <= 512 ? 192 : k <= 1024 ? 256 : 512;
  int64_t count_columns = divide_up(n, tile_columns);
  while (tile_rows > 128 && divide_up(m, tile_rows) * count_columns < few) tile_rows /= 2;
  int64_t count_rows = divide_up(m, tile_rows);
  // Two cores should not wait for a third tile.
  const int64_t count = count_rows * count_columns;
  if (count < 2 * few && count % 2 == 1) {
    (m / count_rows >= n / count_columns ? count_rows : count_columns) += 1;
  }
  const auto [rows, row_tiles] = equal_parts(m, count_rows, 8);
  const auto [columns, column_tiles] = equal_parts(n, count_columns, 48);
  return {rows, columns, row_tiles, column_tiles};
}

/// Whether the product is one of a few rows with a matrix whose rows lie as they are read.
template <class T>
bool has_few_rows(const Product<T>& p) {
  return p.m <= most_few_rows && !p.transpose_a && p.transpose_b;
}

/// Tiles for those: all rows each, and as many columns as are worth a second thread.
Tiles choose_column_tiles(int64_t m, int64_t n, int64_t k) {
  constexpr int64_t worth_sharing = 128 * 1024;  // multiplications: about 5 us
  const int64_t count = std::max<int64_t>(1, m * n * k / worth_sharing);
  const auto [columns, column_tiles] = equal_parts(n, count, 8);
  return {m, columns, 1, column_tiles};
}

template <class T>
void clear_or_scale(const Product<T>& p) {
  for (int64_t i = 0; i < p.m; ++i) {
    T* row = p.c + i * p.ldc;
    for (int64_t j = 0; j < p.n; ++j) row[j] = p.beta == T{0} ? T{0} : p.beta * row[j];
  }
}

template <class T>
void multiply_tiles(const Product<T>& p, const PartDone& done) {
  if (p.m == 0 || p.n == 0) return;
  if (p.k == 0) {
    clear_or_scale(p);
    if (done) done(0, p.m, 0, p.n);
    return;
  }
  const bool few_rows = has_few_rows(p);
  const Tiles tiles = few_rows ? choose_column_tiles(p.m, p.n, p.k) : choose_tiles(p.m, p.n, p.k);
  const int64_t count = tiles.count_rows * tiles.count_columns;
  FirstError error;
  const auto multiply_tile = [&](int64_t tile) {
    const int64_t row = tile / tiles.count_columns * tiles.rows;
    const int64_t column = tile % tiles.count_columns * tiles.columns;
    const Product<T> part =
        p.part(row, std::min(tiles.rows, p.m - row), column, std::min(tiles.columns, p.n - column));
    if (few_rows) {
      few_rows_gemm(part.m, part.n, part.k, part.alpha, part.a, part.lda, part.b, part.ldb,
                    part.beta, part.c, part.ldc);
    } else {
      multiply(part);
    }
    if (done) done(row, part.m, column, part.n);
  };
  if (count == 1) {  // no team of threads, not even of one
    multiply_tile(0);
  } else {
#ifdef _OPENMP
#pragma omp parallel for schedule(dynamic, 1) if (!omp_in_parallel())
#endif
    for (int64_t tile = 0; tile < count; ++tile) error.guard([&] { multiply_tile(tile); });
  }
  error.rethrow();
}

}  // namespace

void gemm(bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t k, float alpha,
          const float* a, int64_t lda, const float* b, int64_t ldb, float beta, float* c,
          int64_t ldc, const PartDone& done) {
  multiply_tiles<float>({transpose_a, transpose_b, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc},
                        done);
}

void gemm(bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t k, double alpha,
          const double* a, int64_t lda, const double* b, int64_t ldb, double beta, double* c,
          int64_t ldc, const PartDone& done) {
  multiply_tiles<double>({transpose_a, transpose_b, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc},
                         done);
}

}  // namespace folio::cpu
