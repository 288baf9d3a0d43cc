#include "folio/kernels/cpu/gemm.h"

#include <algorithm>
#include <cstdint>
#include <vector>

#include "folio/kernels/cpu/gemm_few_rows.h"
#include "folio/kernels/cpu/gemm_in_cache.h"
#include "kernel_checks.h"

namespace folio {
namespace {

struct Product {
  bool transpose_a, transpose_b;
  int64_t m, n, k;
  bool accumulate = false;
  int64_t gap = 0;        // elements between rows in memory
  bool in_cache = false;  // computed by gemm_in_cache()
};

template <class T>
std::vector<T> matrix(int64_t rows, int64_t row_length, uint64_t seed) {
  const std::vector<double> values = numbers(rows * row_length, seed);
  return {values.begin(), values.end()};
}

template <class T>
double tolerance(int64_t k) {
  return (sizeof(T) == 4 ? 4e-7 : 1e-15) * static_cast<double>(k + 4);
}

/// Compares gemm() or gemm_in_cache() with the sum, and checks that the gaps in C are not written.
template <class T>
void expect_product(const Product& p) {
  SCOPED_TRACE(testing::Message() << p.transpose_a << p.transpose_b << " m " << p.m << " n " << p.n
                                  << " k " << p.k << " accumulate " << p.accumulate << " gap "
                                  << p.gap);
  const int64_t lda = (p.transpose_a ? p.m : p.k) + p.gap;
  const int64_t ldb = (p.transpose_b ? p.k : p.n) + p.gap, ldc = p.n + p.gap;
  const std::vector<T> a = matrix<T>(p.transpose_a ? p.k : p.m, lda, 1);
  const std::vector<T> b = matrix<T>(p.transpose_b ? p.n : p.k, ldb, 2);
  std::vector<T> c = matrix<T>(p.m, ldc, 3);
  const std::vector<T> before = c;
  if (!p.accumulate) {
    for (int64_t i = 0; i < p.m; ++i) std::fill_n(c.data() + i * ldc, p.n, T(NAN));
  }
  const MatrixProduct product{
      dtype_of<T>, dtype_of<T>, p.transpose_a, p.transpose_b, p.accumulate, p.m, p.n,
      p.k,         1,           lda,           ldb,           ldc};
  if (p.in_cache) {
    cpu::gemm_in_cache(product, a.data(), b.data(), c.data());
  } else {
    cpu::gemm(product, a.data(), b.data(), c.data());
  }
  for (int64_t i = 0; i < p.m; ++i) {
    for (int64_t j = 0; j < ldc; ++j) {
      if (j >= p.n) {
        ASSERT_EQ(c[i * ldc + j], before[i * ldc + j]) << "between rows " << i << " and " << i + 1;
        continue;
      }
      double sum = 0.0;
      for (int64_t l = 0; l < p.k; ++l) {
        sum += double{a[p.transpose_a ? l * lda + i : i * lda + l]} *
               double{b[p.transpose_b ? j * ldb + l : l * ldb + j]};
      }
      const double expected = p.accumulate ? sum + double{before[i * ldc + j]} : sum;
      ASSERT_NEAR(c[i * ldc + j], expected, tolerance<T>(p.k)) << i << ", " << j;
    }
  }
}

void expect_product_in_both(const Product& p) {
  expect_product<float>(p);
  expect_product<double>(p);
}

TEST(Gemm, AgreesWithTheSumForOddSizes) {
  for (const bool transpose_a : {false, true}) {
    for (const bool transpose_b : {false, true}) {
      for (const int64_t m : {1, 3, 17, 65}) {
        for (const int64_t n : {1, 5, 33, 130}) {
          for (const int64_t k : {1, 3, 17, 130}) {
            expect_product_in_both({transpose_a, transpose_b, m, n, k});
          }
        }
      }
      expect_product_in_both({transpose_a, transpose_b, 17, 33, 5, true, 7});
      expect_product_in_both({transpose_a, transpose_b, 65, 5, 17, false, 3});
    }
  }
}

TEST(Gemm, AgreesWithTheSumOverSeveralTiles) {
  for (const bool transpose_a : {false, true}) {
    for (const bool transpose_b : {false, true}) {
      expect_product_in_both({transpose_a, transpose_b, 261, 130, 65, true, 5});
      expect_product_in_both({transpose_a, transpose_b, 33, 1100, 70});
      expect_product_in_both({transpose_a, transpose_b, 65, 65, 600, true});
    }
  }
}

TEST(Gemm, EmptyInnerDimensionKeepsOrClears) {
  for (const bool accumulate : {false, true})
    expect_product_in_both({false, true, 3, 5, 0, accumulate});
  expect_product_in_both({false, false, 0, 5, 3});
  expect_product_in_both({false, false, 5, 0, 3});
}

TEST(Gemm, IsTheSameBitsForAnyNumberOfThreads) {
  struct Size {
    int64_t m, n, k;
  };
  for (const auto [m, n, k] :
       {Size{1, 130, 2048}, {17, 65, 768}, {128, 128, 768}, {768, 65, 128}, {300, 700, 130}}) {
    const Tensor a = tensor_of({m, k}, numbers(m * k, 1), DType::f32);
    const Tensor b = tensor_of({k, n}, numbers(k * n, 2), DType::f32);
    expect_same_with_any_threads([&, m = m, n = n, k = k] {
      const Tensor c({m, n}, DType::f32);
      cpu::gemm(MatrixProduct{.m = m, .n = n, .k = k}.dense(), a.raw(), b.raw(), c.raw());
      return std::vector<Tensor>{c};
    });
  }
}

TEST(Gemm, OfFewRowsAgreesWithTheSum) {
  for (const int64_t m : {1, 2, 3, 4, 5, 15, 16}) {
    for (const int64_t n : {1, 4, 7, 8, 13, 260}) {
      for (const int64_t k : {1, 15, 16, 17, 100}) {
        expect_product_in_both({false, true, m, n, k});
        expect_product_in_both({false, true, m, n, k, true, 3});
      }
    }
  }
  expect_product_in_both({false, true, 3, 700, 300, true, 2});  // several tiles
}

TEST(Gemm, FewRowsDoNotInfluenceEachOther) {
  constexpr int64_t n = 517, k = 310, most = cpu::most_few_rows;
  const std::vector<float> a = matrix<float>(most, k, 1), b = matrix<float>(n, k, 2);
  std::vector<float> alone(most * n), together(most * n);
  for (int64_t i = 0; i < most; ++i) {
    cpu::gemm(MatrixProduct{.transpose_b = true, .m = 1, .n = n, .k = k}.dense(), a.data() + i * k,
              b.data(), alone.data() + i * n);
  }
  for (int64_t m = 2; m <= most; ++m) {
    cpu::gemm(MatrixProduct{.transpose_b = true, .m = m, .n = n, .k = k}.dense(), a.data(),
              b.data(), together.data());
    for (int64_t i = 0; i < m * n; ++i) ASSERT_EQ(alone[i], together[i]) << "m " << m << ", " << i;
  }
}

TEST(Gemm, OfFewRowsIsTheSameBitsForAnyNumberOfThreads) {
  for (const int64_t m : {1, 5, 16}) {
    constexpr int64_t n = 700, k = 768;
    const Tensor a = tensor_of({m, k}, numbers(m * k, 1), DType::f32);
    const Tensor b = tensor_of({n, k}, numbers(n * k, 2), DType::f32);
    expect_same_with_any_threads([&] {
      const Tensor c({m, n}, DType::f32);
      cpu::gemm(MatrixProduct{.transpose_b = true, .m = m, .n = n, .k = k}.dense(), a.raw(),
                b.raw(), c.raw());
      return std::vector<Tensor>{c};
    });
  }
}

TEST(GemmInCache, AgreesWithTheSum) {
  for (const int64_t m : {1, 2, 3, 5, 6, 12, 17}) {
    for (const int64_t n : {1, 3, 8, 16, 17, 33, 64, 65, 130}) {
      for (const int64_t k : {0, 1, 5, 33}) {
        for (const bool transpose_a : {false, true}) {
          for (const bool accumulate : {false, true}) {
            expect_product_in_both({transpose_a, false, m, n, k, accumulate, 3, true});
          }
        }
      }
    }
  }
}

TEST(TransposeInCache, TurnsRowsIntoColumns) {
  for (const int64_t rows : {1, 5, 17, 65}) {
    for (const int64_t columns : {1, 3, 16, 33}) {
      const int64_t ldx = columns + 2, ldy = rows + 3;
      const std::vector<float> x = matrix<float>(rows, ldx, 1);
      std::vector<float> y(columns * ldy, 9.0f);
      cpu::transpose_in_cache(DType::f32, rows, columns, x.data(), ldx, y.data(), ldy);
      for (int64_t j = 0; j < columns; ++j) {
        for (int64_t i = 0; i < ldy; ++i) {
          ASSERT_EQ(y[j * ldy + i], i < rows ? x[i * ldx + j] : 9.0f) << i << ", " << j;
        }
      }
    }
  }
}

}  // namespace
}  // namespace folio
