// Products of bf16, tile by tile as in gemm_tiled.cpp and for the same reason: each tile is
// computed by one thread, with a oneDNN primitive that was made for one thread.
#ifdef FOLIO_HAVE_ONEDNN
#include "folio/kernels/cpu/onednn_matmul_bf16.h"
#endif

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>

#include "folio/kernels/cpu/gemm.h"
#include "folio/kernels/cpu/parallel.h"
#include "folio/kernels/cpu/types.h"
#include "folio/kernels/process.h"
#include "folio/tensor/error.h"

namespace folio::cpu {
namespace {

// --- the reference: through f32 -----------------------------------------------------------------

/// A dense copy of rows x columns elements in f32.
Tensor widened(const bf16* x, int64_t rows, int64_t columns, int64_t stride) {
  const Tensor wide({rows, columns}, DType::f32);
  float* out = wide.data<float>();
  for (int64_t i = 0; i < rows; ++i) std::copy_n(x + i * stride, columns, out + i * columns);
  return wide;
}

template <class C>
void multiply_widened(const MatrixProduct& p, const bf16* a, const bf16* b, C* c) {
  const Tensor wide_a = widened(a, p.transpose_a ? p.k : p.m, p.transpose_a ? p.m : p.k, p.lda);
  const Tensor wide_b = widened(b, p.transpose_b ? p.n : p.k, p.transpose_b ? p.k : p.n, p.ldb);
  const Tensor product({p.m, p.n}, DType::f32);
  MatrixProduct wide = p.dense();
  wide.values = wide.result = DType::f32;
  wide.accumulate = false;
  gemm(wide, wide_a.raw(), wide_b.raw(), product.raw());
  for (int64_t i = 0; i < p.m; ++i) {
    const float* from = product.data<float>() + i * p.n;
    C* to = c + i * p.ldc;
    for (int64_t j = 0; j < p.n; ++j) {
      to[j] = static_cast<C>(p.accumulate ? static_cast<float>(to[j]) + from[j] : from[j]);
    }
  }
}

#ifdef FOLIO_HAVE_ONEDNN
// --- oneDNN -------------------------------------------------------------------------------------

/// `size` divided into `count` parts of `part`, the last of which may be shorter.
struct Cut {
  int64_t size, part, count;

  /// Equal parts of at most `most`, at least `least_count` of them if the size allows; multiples of
  /// `unit`, which is what the library's innermost loops process at a time.
  Cut(int64_t whole, int64_t most, int64_t least_count, int64_t unit) : size(whole) {
    int64_t wanted = std::max(least_count, (whole + most - 1) / most);
    if (wanted > 1 && wanted < 8) wanted += wanted % 2;  // so that two cores finish together
    part = ((whole + wanted - 1) / wanted + unit - 1) / unit * unit;
    count = (whole + part - 1) / part;
  }
  int64_t length(int64_t i) const { return std::min(part, size - i * part); }
};

/// Measured: whole rows of C cost least, and tiles of 256 rows cost no more than taller ones; 128
/// rows cost 5% more.
template <class C>
void multiply_tiles(const MatrixProduct& p, const bf16* a, const bf16* b, C* c,
                    const TileDone& done) {
  constexpr int64_t worth_sharing = 2'000'000;  // multiplications: about 10 us
  constexpr int64_t tile_rows = 256, tile_columns = 2048;
  const bool small = p.m * p.n < (worth_sharing + p.k - 1) / p.k;
  const Cut columns(p.n, tile_columns, 1, 64);
  const int64_t least = small || columns.count > 1 ? 1 : 4;  // a few, for two cores to share
  const Cut rows(p.m, tile_rows, std::min(least, (p.m + 31) / 32), 16);

  // All tiles have one shape, except those in the last row and in the last column.
  std::array<std::array<std::shared_ptr<const OnednnMatmulBf16>, 2>, 2> primitives;
  const auto primitive_of = [&](int64_t row, int64_t column) -> auto& {
    return primitives[row + 1 == rows.count][column + 1 == columns.count];
  };
  for (int64_t row = std::max<int64_t>(rows.count - 2, 0); row < rows.count; ++row) {
    for (int64_t column = std::max<int64_t>(columns.count - 2, 0); column < columns.count;
         ++column) {
      MatrixProduct tile = p;
      tile.m = rows.length(row);
      tile.n = columns.length(column);
      primitive_of(row, column) = onednn_matmul_bf16(tile, /*all_threads=*/false);
    }
  }
  parallel_for(rows.count * columns.count, 1, [&](int64_t begin, int64_t end) {
    for (int64_t tile = begin; tile < end; ++tile) {
      const int64_t row = tile / columns.count, column = tile % columns.count;
      const int64_t i = row * rows.part, j = column * columns.part;
      (*primitive_of(row, column))(a + p.offset_a(i), b + p.offset_b(j), c + p.offset_c(i, j));
      if (done) done(i, rows.length(row), j, columns.length(column));
    }
  });
}
#endif

template <class C>
void multiply(const MatrixProduct& p, const bf16* a, const bf16* b, C* c, const TileDone& done) {
  if (p.m == 0 || p.n == 0) return;
#ifdef FOLIO_HAVE_ONEDNN
  if (p.k > 0 && multiplies_bf16()) {
    try {
      return multiply_tiles(p, a, b, c, done);
    } catch (const dnnl::error& error) {
      fail("gemm", fmt::format("oneDNN failed at m = {}, n = {}, k = {} in bf16: {}; is memory "
                               "exhausted?",
                               p.m, p.n, p.k, error.what()));
    }
  }
#endif
  multiply_widened(p, a, b, c);
  if (done) done(0, p.m, 0, p.n);
}

}  // namespace

void gemm_bf16(const MatrixProduct& p, const bf16* a, const bf16* b, void* c,
               const TileDone& done) {
  if (p.result == DType::f32) return multiply(p, a, b, static_cast<float*>(c), done);
  multiply(p, a, b, static_cast<bf16*>(c), done);
}

bool multiplies_bf16() {
#ifdef FOLIO_HAVE_ONEDNN
  // oneDNN's instruction sets are sets of bits: newer ones contain those of AVX-512 with bf16.
  constexpr auto wanted = static_cast<unsigned>(dnnl::cpu_isa::avx512_core_bf16);
  static const bool able = [] {
    instruction_set();  // applies FOLIO_ISA, which may disable it
    return (static_cast<unsigned>(dnnl::get_effective_cpu_isa()) & wanted) == wanted;
  }();
  return able;
#else
  return false;
#endif
}

}  // namespace folio::cpu
