// Matrix products of bf16, tile by tile as in gemm.cpp and for its reason: each tile is one
// thread's work, and oneDNN's primitive for it is made as if there were one thread only.
#include "folio/kernels/cpu/gemm.h"

#ifdef FOLIO_HAVE_ONEDNN
#include "folio/kernels/cpu/bf16_product.h"
#endif

#include <algorithm>
#include <array>
#include <memory>

#include "folio/kernels/cpu/parallel.h"
#include "folio/kernels/instruction_set.h"
#include "folio/tensor/error.h"
#include "folio/tensor/tensor.h"

namespace folio::cpu {
namespace {

/// C (m, n) = op(A) op(B), or C += it, with the meanings of gemm.h.
template <class C>
struct Product {
  bool transpose_a, transpose_b;
  int64_t m, n, k;
  const bf16* a;
  int64_t lda;
  const bf16* b;
  int64_t ldb;
  bool accumulate;
  C* c;
  int64_t ldc;
};

// --- the reference: through f32 -----------------------------------------------------------------

/// rows x columns elements, widened, without gaps.
Tensor widened(const bf16* x, int64_t rows, int64_t columns, int64_t stride) {
  const Tensor wide({rows, columns}, DType::f32);
  float* out = wide.data<float>();
  for (int64_t i = 0; i < rows; ++i) std::copy_n(x + i * stride, columns, out + i * columns);
  return wide;
}

template <class C>
void multiply_widened(const Product<C>& p) {
  const int64_t a_rows = p.transpose_a ? p.k : p.m, a_columns = p.transpose_a ? p.m : p.k;
  const int64_t b_rows = p.transpose_b ? p.n : p.k, b_columns = p.transpose_b ? p.k : p.n;
  const Tensor a = widened(p.a, a_rows, a_columns, p.lda);
  const Tensor b = widened(p.b, b_rows, b_columns, p.ldb);
  const Tensor product({p.m, p.n}, DType::f32);
  gemm(p.transpose_a, p.transpose_b, p.m, p.n, p.k, 1.0f, a.data<float>(), a_columns,
       b.data<float>(), b_columns, 0.0f, product.data<float>(), p.n);
  for (int64_t i = 0; i < p.m; ++i) {
    const float* from = product.data<float>() + i * p.n;
    C* to = p.c + i * p.ldc;
    for (int64_t j = 0; j < p.n; ++j) {
      to[j] = static_cast<C>(p.accumulate ? static_cast<float>(to[j]) + from[j] : from[j]);
    }
  }
}

#ifdef FOLIO_HAVE_ONEDNN
// --- oneDNN -------------------------------------------------------------------------------------

/// `size` cut into `count` parts of `part`, the last one shorter.
struct Cut {
  int64_t size, part, count;

  /// Equal parts of at most `most`, at least `least_count` of them where the size allows, and of
  /// what the library's innermost loops take at once.
  Cut(int64_t whole, int64_t most, int64_t least_count, int64_t unit) : size(whole) {
    int64_t wanted = std::max(least_count, (whole + most - 1) / most);
    if (wanted > 1 && wanted < 8) wanted += wanted % 2;  // two cores should not wait for a third
    part = ((whole + wanted - 1) / wanted + unit - 1) / unit * unit;
    count = (whole + part - 1) / part;
  }
  int64_t length(int64_t i) const { return std::min(part, size - i * part); }
};

/// Measured: whole rows of C cost least, and tiles of 256 rows as little as taller ones; 128 rows
/// cost 5% more.
template <class C>
void multiply_tiles(const Product<C>& p, const PartDone& done) {
  constexpr int64_t worth_sharing = 2'000'000;  // multiplications: about 10 us
  constexpr int64_t tile_rows = 256, tile_columns = 2048;
  const bool small = p.m * p.n < (worth_sharing + p.k - 1) / p.k;
  const Cut columns(p.n, tile_columns, 1, 64);
  const int64_t least = small || columns.count > 1 ? 1 : 4;  // a few, for two cores to share
  const Cut rows(p.m, tile_rows, std::min(least, (p.m + 31) / 32), 16);

  // Inner tiles are of one kind, those of the last row and column of others.
  std::array<std::array<std::shared_ptr<const Bf16Product>, 2>, 2> products;
  const auto of_kind = [&](int64_t row, int64_t column) -> std::shared_ptr<const Bf16Product>& {
    return products[row + 1 == rows.count][column + 1 == columns.count];
  };
  for (int64_t row = std::max<int64_t>(rows.count - 2, 0); row < rows.count; ++row) {
    for (int64_t column = std::max<int64_t>(columns.count - 2, 0); column < columns.count;
         ++column) {
      of_kind(row, column) = bf16_product({.transpose_a = p.transpose_a,
                                           .transpose_b = p.transpose_b,
                                           .accumulate = p.accumulate,
                                           .wide = std::is_same_v<C, float>,
                                           .m = rows.length(row),
                                           .n = columns.length(column),
                                           .k = p.k,
                                           .lda = p.lda,
                                           .ldb = p.ldb,
                                           .ldc = p.ldc});
    }
  }
  parallel_for(rows.count * columns.count, 1, [&](int64_t begin, int64_t end) {
    for (int64_t tile = begin; tile < end; ++tile) {
      const int64_t row = tile / columns.count, column = tile % columns.count;
      const int64_t i = row * rows.part, j = column * columns.part;
      (*of_kind(row, column))(p.a + (p.transpose_a ? i : i * p.lda),
                              p.b + (p.transpose_b ? j * p.ldb : j), p.c + i * p.ldc + j);
      if (done) done(i, rows.length(row), j, columns.length(column));
    }
  });
}
#endif

template <class C>
void multiply(const Product<C>& p, const PartDone& done) {
  if (p.m == 0 || p.n == 0) return;
#ifdef FOLIO_HAVE_ONEDNN
  if (p.k > 0 && multiplies_bf16()) {
    try {
      return multiply_tiles(p, done);
    } catch (const dnnl::error& error) {
      fail("gemm", fmt::format("oneDNN failed at m = {}, n = {}, k = {} in bf16: {}; is memory "
                               "exhausted?",
                               p.m, p.n, p.k, error.what()));
    }
  }
#endif
  multiply_widened(p);
  if (done) done(0, p.m, 0, p.n);
}

}  // namespace

void gemm(bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t k, const bf16* a,
          int64_t lda, const bf16* b, int64_t ldb, bool accumulate, bf16* c, int64_t ldc,
          const PartDone& done) {
  multiply<bf16>({transpose_a, transpose_b, m, n, k, a, lda, b, ldb, accumulate, c, ldc}, done);
}

void gemm(bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t k, const bf16* a,
          int64_t lda, const bf16* b, int64_t ldb, bool accumulate, float* c, int64_t ldc) {
  multiply<float>({transpose_a, transpose_b, m, n, k, a, lda, b, ldb, accumulate, c, ldc}, {});
}

bool multiplies_bf16() {
#ifdef FOLIO_HAVE_ONEDNN
  // Instruction sets are sets of bits: later ones contain those of AVX-512 with bf16.
  constexpr auto wanted = static_cast<unsigned>(dnnl::cpu_isa::avx512_core_bf16);
  static const bool able = [] {
    instruction_set();  // FOLIO_ISA may forbid it
    return (static_cast<unsigned>(dnnl::get_effective_cpu_isa()) & wanted) == wanted;
  }();
  return able;
#else
  return false;
#endif
}

}  // namespace folio::cpu
