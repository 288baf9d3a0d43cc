#include <algorithm>
#include <array>
#include <cstdint>
#include <numeric>
#include <vector>

#include "kernel_checks.h"

namespace folio {
namespace {

std::vector<int64_t> strides_of(const Shape& shape) {
  std::vector<int64_t> strides(shape.rank(), 1);
  for (int i = shape.rank() - 2; i >= 0; --i) strides[i] = strides[i + 1] * shape[i + 1];
  return strides;
}

/// The index along each axis of element `element`.
std::vector<int64_t> indices_of(const Shape& shape, int64_t element) {
  std::vector<int64_t> indices;
  for (const int64_t stride : strides_of(shape)) {
    indices.push_back(element / stride);
    element %= stride;
  }
  return indices;
}

void expect_permutation(const Shape& shape, const std::array<int, 4>& axes) {
  Shape permuted = shape;
  for (int i = 0; i < shape.rank(); ++i) permuted = permuted.with(i, shape[axes[i]]);
  const std::vector<double> x = numbers(shape.numel(), 1);
  std::vector<double> expected(x.size());
  const std::vector<int64_t> strides = strides_of(shape);
  for (int64_t element = 0; element < shape.numel(); ++element) {
    const std::vector<int64_t> indices = indices_of(permuted, element);
    int64_t from = 0;
    for (int i = 0; i < shape.rank(); ++i) from += indices[i] * strides[axes[i]];
    expected[element] = x[from];
  }
  SCOPED_TRACE(shape.to_string() + " to " + permuted.to_string());
  for (const DType dtype : floating_types) {
    const Tensor tensor = tensor_of(shape, x, dtype);
    expect_target(permuted, dtype, expected, tolerance_for(dtype, 2e-7),
                  [&](GradTarget y) { tested_kernels().permute(y, tensor, axes); });
  }
}

TEST(Permute, MovesEveryAxisOfEveryRank) {
  for (const Shape& shape : {Shape{5},
                             {3, 17},
                             {130, 65},
                             {3, 17, 5},
                             {2, 65, 33},
                             {2, 3, 5, 17},
                             {3, 33, 4, 32},
                             {1, 1, 130, 3}}) {
    std::array<int, 4> axes{0, 1, 2, 3};
    do {
      expect_permutation(shape, axes);
    } while (std::next_permutation(axes.begin(), axes.begin() + shape.rank()));
  }
  expect_permutation({}, {});
  expect_permutation({3, 0, 5}, {2, 0, 1});
}

TEST(Permute, OfTokens) {
  const Tensor x = Tensor::from<int32_t>({2, 3}, {1, 2, 3, 4, 5, 6});
  const Tensor y({3, 2}, DType::i32);
  tested_kernels().permute({&y, false}, x, {1, 0});
  EXPECT_EQ(y.to_vector<int32_t>(), (std::vector<int32_t>{1, 4, 2, 5, 3, 6}));
}

/// y after copy_range, element by element.
std::vector<double> ranged(const Shape& y_shape, std::vector<double> y, int64_t y_start,
                           const Shape& x_shape, const std::vector<double>& x, int64_t x_start,
                           int64_t length, int axis, bool accumulate) {
  const std::vector<int64_t> strides = strides_of(x_shape);
  for (size_t element = 0; element < y.size(); ++element) {
    std::vector<int64_t> indices = indices_of(y_shape, static_cast<int64_t>(element));
    const int64_t i = indices[axis] - y_start;
    if (i < 0 || i >= length) continue;
    indices[axis] = x_start + i;
    const double value =
        x[std::inner_product(indices.begin(), indices.end(), strides.begin(), int64_t{0})];
    y[element] = accumulate ? y[element] + value : value;
  }
  return y;
}

TEST(CopyRange, MovesThatRangeAndLeavesTheRest) {
  for (const Shape& base : {Shape{17}, {3, 17}, {3, 5, 17}, {2, 3, 5, 33}, {2, 300, 130}}) {
    for (int axis = 0; axis < base.rank(); ++axis) {
      const Shape x_shape = base, y_shape = base.with(axis, base[axis] + 2);
      const int64_t x_start = base[axis] / 3, length = base[axis] - x_start, y_start = 2;
      const std::vector<double> x = numbers(x_shape.numel(), 1), y = numbers(y_shape.numel(), 2);
      for (const DType dtype : floating_types) {
        for (const bool accumulate : {false, true}) {
          const Tensor to = tensor_of(y_shape, y, dtype);
          tested_kernels().copy_range({&to, accumulate}, y_start, tensor_of(x_shape, x, dtype),
                                      x_start, length, axis);
          expect_each_near(
              to, ranged(y_shape, y, y_start, x_shape, x, x_start, length, axis, accumulate),
              tolerance_for(dtype, 2e-7));
        }
      }
    }
  }
}

TEST(CopyRange, OfTokens) {
  const Tensor x = Tensor::from<int32_t>({2, 3}, {1, 2, 3, 4, 5, 6});
  const Tensor y = Tensor::from<int32_t>({2, 2}, {7, 7, 7, 7});
  tested_kernels().copy_range({&y, false}, 1, x, 2, 1, 1);
  EXPECT_EQ(y.to_vector<int32_t>(), (std::vector<int32_t>{7, 3, 7, 6}));
}

struct Lookup {
  int64_t rows, columns;
  std::vector<int32_t> indices;  // (3, 17), with repetitions
  std::vector<double> table, dy;

  Lookup(int64_t r, int64_t c)
      : rows(r), columns(c), table(numbers(r * c, 1)), dy(numbers(51 * c, 2)) {
    for (int32_t i = 0; i < 51; ++i) indices.push_back(i * 7 % static_cast<int32_t>(rows));
  }
  Tensor index_tensor() const { return Tensor::from<int32_t>({3, 17}, indices); }
};

TEST(GatherRows, TakesThatRowOfTheTable) {
  for (const int64_t columns : {1, 3, 17, 130, 1030}) {
    const Lookup lookup(33, columns);
    std::vector<double> expected;
    for (const int32_t i : lookup.indices) {
      expected.insert(expected.end(), &lookup.table[i * columns],
                      &lookup.table[i * columns] + columns);
    }
    for (const DType dtype : floating_types) {
      const Tensor y({3, 17, columns}, dtype);
      tested_kernels().gather_rows(y, tensor_of({33, columns}, lookup.table, dtype),
                                   lookup.index_tensor());
      EXPECT_EQ(values_of(y), expected);
    }
  }
}

TEST(ScatterAddRows, SumsEveryRowOfItsIndex) {
  for (const int64_t rows : {1, 5, 130}) {
    for (const int64_t columns : {1, 3, 17, 130, 1030}) {
      const Lookup lookup(rows, columns);
      std::vector<double> expected(rows * columns);
      for (size_t i = 0; i < lookup.indices.size(); ++i) {
        for (int64_t j = 0; j < columns; ++j) {
          expected[lookup.indices[i] * columns + j] += lookup.dy[i * columns + j];
        }
      }
      for (const DType dtype : floating_types) {
        const Tensor dy = tensor_of({3, 17, columns}, lookup.dy, dtype);
        expect_target({rows, columns}, dtype, expected, tolerance_for(dtype, 2e-5),
                      [&](GradTarget dtable) {
                        tested_kernels().scatter_add_rows(dtable, lookup.index_tensor(), dy);
                      });
      }
    }
  }
}

TEST(ScatterAddRows, IsTheSameBitsForAnyNumberOfThreads) {
  const Lookup lookup(5, 1030);
  const Tensor dy = tensor_of({3, 17, 1030}, lookup.dy, DType::f32);
  expect_same_with_any_threads([&] {
    const Tensor table({5, 1030}, DType::f32);
    tested_kernels().scatter_add_rows({&table, false}, lookup.index_tensor(), dy);
    return std::vector<Tensor>{table};
  });
}

TEST(EmbeddingForward, AddsThePositionsRow) {
  for (const int64_t columns : {1, 3, 17, 130}) {
    const Lookup lookup(33, columns);
    const std::vector<double> positions = numbers(20 * columns, 3);
    std::vector<double> expected;
    for (size_t i = 0; i < lookup.indices.size(); ++i) {
      for (int64_t j = 0; j < columns; ++j) {
        expected.push_back(lookup.table[lookup.indices[i] * columns + j] +
                           positions[static_cast<int64_t>(i) % 17 * columns + j]);
      }
    }
    for (const DType dtype : floating_types) {
      const Tensor y({3, 17, columns}, dtype);
      tested_kernels().embedding_forward(y, lookup.index_tensor(),
                                         tensor_of({33, columns}, lookup.table, dtype),
                                         tensor_of({20, columns}, positions, dtype));
      expect_each_near(y, expected, tolerance_for(dtype, 2e-7));
    }
  }
}

}  // namespace
}  // namespace folio
