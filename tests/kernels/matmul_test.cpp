#include <cstdint>
#include <vector>

#include "kernel_checks.h"

namespace folio {
namespace {

/// Row-major matrices below one another.
struct Matrices {
  int64_t count, rows, columns;
  std::vector<double> values;

  Matrices(int64_t c, int64_t r, int64_t w) : count(c), rows(r), columns(w), values(c * r * w) {}
  double& at(int64_t i, int64_t r, int64_t c) { return values[(i * rows + r) * columns + c]; }
  double at(int64_t i, int64_t r, int64_t c) const { return values[(i * rows + r) * columns + c]; }
};

Matrices random_matrices(int64_t count, int64_t rows, int64_t columns, uint64_t seed) {
  Matrices m(count, rows, columns);
  m.values = numbers(count * rows * columns, seed);
  return m;
}

/// op(a_i) op(b_i), or with one b for every a; summed over i if c has one.
Matrices product(const Matrices& a, bool transpose_a, const Matrices& b, bool transpose_b,
                 bool sum) {
  const int64_t m = transpose_a ? a.columns : a.rows, k = transpose_a ? a.rows : a.columns;
  const int64_t n = transpose_b ? b.rows : b.columns;
  Matrices c(sum ? 1 : a.count, m, n);
  for (int64_t i = 0; i < a.count; ++i) {
    const int64_t of_b = b.count == 1 ? 0 : i;
    for (int64_t r = 0; r < m; ++r) {
      for (int64_t s = 0; s < n; ++s) {
        for (int64_t l = 0; l < k; ++l) {
          c.at(sum ? 0 : i, r, s) += (transpose_a ? a.at(i, l, r) : a.at(i, r, l)) *
                                     (transpose_b ? b.at(of_b, s, l) : b.at(of_b, l, s));
        }
      }
    }
  }
  return c;
}

double tolerance(DType dtype, int64_t terms) {
  return (dtype == DType::f32 ? 4e-7 : 1e-15) * static_cast<double>(terms + 4);
}

void expect_matmul(const Shape& c_shape, const Shape& a_shape, const Matrices& a, bool transpose_a,
                   const Shape& b_shape, const Matrices& b, bool transpose_b, bool sum) {
  SCOPED_TRACE(a_shape.to_string() + (transpose_a ? "T " : " ") + b_shape.to_string() +
               (transpose_b ? "T" : ""));
  const Matrices expected = product(a, transpose_a, b, transpose_b, sum);
  const int64_t k = transpose_a ? a.rows : a.columns;
  for (const DType dtype : floating_types) {
    const Tensor ta = tensor_of(a_shape, a.values, dtype), tb = tensor_of(b_shape, b.values, dtype);
    expect_target(
        c_shape, dtype, expected.values, tolerance(dtype, sum ? a.count * k : k),
        [&](GradTarget c) { tested_kernels().matmul(c, ta, transpose_a, tb, transpose_b); });
  }
}

TEST(Matmul, OfTwoMatrices) {
  for (const bool transpose_a : {false, true}) {
    for (const bool transpose_b : {false, true}) {
      for (const int64_t m : {1, 5, 65}) {
        for (const int64_t n : {1, 17, 130}) {
          for (const int64_t k : {1, 3, 33}) {
            const Matrices a = random_matrices(1, transpose_a ? k : m, transpose_a ? m : k, 1);
            const Matrices b = random_matrices(1, transpose_b ? n : k, transpose_b ? k : n, 2);
            expect_matmul({m, n}, {a.rows, a.columns}, a, transpose_a, {b.rows, b.columns}, b,
                          transpose_b, false);
          }
        }
      }
    }
  }
}

TEST(Matmul, OfEqualLeadingDimensions) {
  for (const bool transpose_a : {false, true}) {
    for (const bool transpose_b : {false, true}) {
      struct Size {
        int64_t m, n, k;
      };
      for (const auto [m, n, k] : {Size{3, 5, 17}, {33, 17, 1}, {65, 130, 130}}) {
        const Matrices a = random_matrices(6, transpose_a ? k : m, transpose_a ? m : k, 1);
        const Matrices b = random_matrices(6, transpose_b ? n : k, transpose_b ? k : n, 2);
        expect_matmul({2, 3, m, n}, {2, 3, a.rows, a.columns}, a, transpose_a,
                      {2, 3, b.rows, b.columns}, b, transpose_b, false);
        expect_matmul({6, m, n}, {6, a.rows, a.columns}, a, transpose_a, {6, b.rows, b.columns}, b,
                      transpose_b, false);
      }
    }
  }
}

TEST(Matmul, OfManySmallMatrices) {
  const Matrices a = random_matrices(40, 17, 33, 1), b = random_matrices(40, 33, 5, 2);
  expect_matmul({40, 17, 5}, {40, 17, 33}, a, false, {40, 33, 5}, b, false, false);
}

TEST(Matmul, OneMatrixForEveryBatch) {
  for (const bool transpose_a : {false, true}) {
    for (const bool transpose_b : {false, true}) {
      const int64_t m = 17, n = 33, k = 5;
      const Matrices a = random_matrices(6, transpose_a ? k : m, transpose_a ? m : k, 1);
      const Matrices b = random_matrices(1, transpose_b ? n : k, transpose_b ? k : n, 2);
      expect_matmul({2, 3, m, n}, {2, 3, a.rows, a.columns}, a, transpose_a, {b.rows, b.columns}, b,
                    transpose_b, false);
    }
  }
}

TEST(Matmul, SumsOverLeadingDimensions) {
  struct Size {
    int64_t m, n, k;
  };
  for (const auto [m, n, k] : {Size{17, 33, 5}, {130, 65, 65}}) {
    const Matrices a = random_matrices(6, k, m, 1), b = random_matrices(6, k, n, 2);
    expect_matmul({m, n}, {6, k, m}, a, true, {6, k, n}, b, false, true);
    expect_matmul({m, n}, {2, 3, k, m}, a, true, {2, 3, k, n}, b, false, true);
  }
}

TEST(Matmul, EmptyInnerDimensionGivesZeros) {
  const Matrices a = random_matrices(2, 3, 0, 1), b = random_matrices(2, 0, 5, 2);
  expect_matmul({2, 3, 5}, {2, 3, 0}, a, false, {2, 0, 5}, b, false, false);
}

TEST(Matmul, IsTheSameBitsForAnyNumberOfThreads) {
  for (const int64_t count : {3, 20}) {
    const Tensor a = tensor_of({count, 65, 130}, numbers(count * 65 * 130, 1), DType::f32);
    const Tensor b = tensor_of({count, 130, 130}, numbers(count * 130 * 130, 2), DType::f32);
    expect_same_with_any_threads([&] {
      const Tensor c({count, 65, 130}, DType::f32), weight({130, 130}, DType::f32);
      tested_kernels().matmul({&c, false}, a, false, b, true);
      tested_kernels().matmul({&weight, false}, a, true, c, false);
      return std::vector<Tensor>{c, weight};
    });
  }
}

}  // namespace
}  // namespace folio
