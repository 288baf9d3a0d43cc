#include "folio/kernels/cpu/gemm.h"

#include "folio/kernels/cpu/block_gemm.h"
#include "folio/kernels/cpu/few_rows.h"
#include "kernel_checks.h"

namespace folio {
namespace {

struct Product {
  bool transpose_a, transpose_b;
  int64_t m, n, k;
  double alpha = 1.0, beta = 0.0;
  int64_t gap = 0;  // elements between rows in memory
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

/// gemm beside the sum written out; what lies between C's rows must stay.
template <class T>
void expect_product(const Product& p) {
  SCOPED_TRACE(testing::Message() << p.transpose_a << p.transpose_b << " m " << p.m << " n " << p.n
                                  << " k " << p.k << " beta " << p.beta << " gap " << p.gap);
  const int64_t lda = (p.transpose_a ? p.m : p.k) + p.gap;
  const int64_t ldb = (p.transpose_b ? p.k : p.n) + p.gap, ldc = p.n + p.gap;
  const std::vector<T> a = matrix<T>(p.transpose_a ? p.k : p.m, lda, 1);
  const std::vector<T> b = matrix<T>(p.transpose_b ? p.n : p.k, ldb, 2);
  std::vector<T> c = matrix<T>(p.m, ldc, 3);
  const std::vector<T> before = c;
  if (p.beta == 0.0) {
    for (int64_t i = 0; i < p.m; ++i) std::fill_n(c.data() + i * ldc, p.n, T(NAN));
  }
  cpu::gemm(p.transpose_a, p.transpose_b, p.m, p.n, p.k, T(p.alpha), a.data(), lda, b.data(), ldb,
            T(p.beta), c.data(), ldc);
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
      const double expected = p.alpha * sum + p.beta * double{before[i * ldc + j]};
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
      expect_product_in_both({transpose_a, transpose_b, 17, 33, 5, 0.5, 1.0, 7});
      expect_product_in_both({transpose_a, transpose_b, 65, 5, 17, -2.0, 0.25, 3});
    }
  }
}

TEST(Gemm, AgreesWithTheSumOverSeveralTiles) {
  for (const bool transpose_a : {false, true}) {
    for (const bool transpose_b : {false, true}) {
      expect_product_in_both({transpose_a, transpose_b, 261, 130, 65, 1.0, 1.0, 5});
      expect_product_in_both({transpose_a, transpose_b, 33, 1100, 70});
      expect_product_in_both({transpose_a, transpose_b, 65, 65, 600, 1.0, 1.0});
    }
  }
}

TEST(Gemm, WithNothingToSumScalesOrClears) {
  for (const double beta : {0.0, 1.0, 0.5})
    expect_product_in_both({false, true, 3, 5, 0, 1.0, beta});
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
      cpu::gemm(false, false, m, n, k, 1.0f, a.data<float>(), k, b.data<float>(), n, 0.0f,
                c.data<float>(), n);
      return std::vector<Tensor>{c};
    });
  }
}

TEST(Gemm, OfFewRowsAgreesWithTheSum) {
  for (const int64_t m : {1, 2, 3, 4, 5, 15, 16}) {
    for (const int64_t n : {1, 4, 7, 8, 13, 260}) {
      for (const int64_t k : {1, 15, 16, 17, 100}) {
        expect_product_in_both({false, true, m, n, k});
        expect_product_in_both({false, true, m, n, k, 0.5, 1.0, 3});
      }
    }
  }
  expect_product_in_both({false, true, 3, 700, 300, -1.0, 0.5, 2});  // several tiles
}

TEST(Gemm, EachOfFewRowsIsTheSameBitsInCompanyAndAlone) {
  constexpr int64_t n = 517, k = 310, most = cpu::most_few_rows;
  const std::vector<float> a = matrix<float>(most, k, 1), b = matrix<float>(n, k, 2);
  std::vector<float> alone(most * n), together(most * n);
  for (int64_t i = 0; i < most; ++i) {
    cpu::gemm(false, true, 1, n, k, 1.0f, a.data() + i * k, k, b.data(), k, 0.0f,
              alone.data() + i * n, n);
  }
  for (int64_t m = 2; m <= most; ++m) {
    cpu::gemm(false, true, m, n, k, 1.0f, a.data(), k, b.data(), k, 0.0f, together.data(), n);
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
      cpu::gemm(false, true, m, n, k, 1.0f, a.data<float>(), k, b.data<float>(), k, 0.0f,
                c.data<float>(), n);
      return std::vector<Tensor>{c};
    });
  }
}

template <class T>
void expect_block_product(int64_t m, int64_t n, int64_t k, bool transpose_a, bool accumulate) {
  SCOPED_TRACE(testing::Message() << "m " << m << " n " << n << " k " << k << " transposed "
                                  << transpose_a << " accumulate " << accumulate);
  const int64_t lda = (transpose_a ? m : k) + 2, ldb = n + 1, ldc = n + 3;
  const std::vector<T> a = matrix<T>(transpose_a ? k : m, lda, 1), b = matrix<T>(k, ldb, 2);
  const std::vector<T> before = matrix<T>(m, ldc, 3);
  std::vector<T> c = before;
  const int64_t row_stride = transpose_a ? 1 : lda, inner_stride = transpose_a ? lda : 1;
  cpu::block_gemm(m, n, k, a.data(), row_stride, inner_stride, b.data(), ldb, accumulate, c.data(),
                  ldc);
  for (int64_t i = 0; i < m; ++i) {
    for (int64_t j = 0; j < ldc; ++j) {
      double expected = accumulate || j >= n ? double{before[i * ldc + j]} : 0.0;
      for (int64_t l = 0; l < k && j < n; ++l) {
        expected += double{a[i * row_stride + l * inner_stride]} * double{b[l * ldb + j]};
      }
      ASSERT_NEAR(c[i * ldc + j], expected, tolerance<T>(k)) << i << ", " << j;
    }
  }
}

TEST(BlockGemm, AgreesWithTheSum) {
  for (const int64_t m : {1, 2, 3, 5, 6, 12, 17}) {
    for (const int64_t n : {1, 3, 8, 16, 17, 33, 64, 65, 130}) {
      for (const int64_t k : {0, 1, 5, 33}) {
        for (const bool transpose_a : {false, true}) {
          for (const bool accumulate : {false, true}) {
            expect_block_product<float>(m, n, k, transpose_a, accumulate);
            expect_block_product<double>(m, n, k, transpose_a, accumulate);
          }
        }
      }
    }
  }
}

TEST(BlockTranspose, TurnsRowsIntoColumns) {
  for (const int64_t rows : {1, 5, 17, 65}) {
    for (const int64_t columns : {1, 3, 16, 33}) {
      const int64_t ldx = columns + 2, ldy = rows + 3;
      const std::vector<float> x = matrix<float>(rows, ldx, 1);
      std::vector<float> y(columns * ldy, 9.0f);
      cpu::block_transpose(rows, columns, x.data(), ldx, y.data(), ldy);
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
