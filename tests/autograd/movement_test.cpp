// Ops that move elements: permute, transpose, reshape, slice, concat, gather.
#include <fmt/core.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <initializer_list>
#include <numeric>
#include <utility>
#include <vector>

#include "folio/autograd/ops.h"
#include "support/gradcheck.h"
#include "support/temporary.h"

namespace folio {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

/// 0, 1, 2, ...
Variable counting(const Shape& shape) {
  std::vector<double> values(shape.numel());
  std::iota(values.begin(), values.end(), 0.0);
  return {Tensor::from(shape, values)};
}

TEST(Permute, Values) {
  Tape tape;
  EXPECT_THAT(values_of(permute(tape, counting({2, 3}), {1, 0}).value),
              ElementsAre(0, 3, 1, 4, 2, 5));
  const Variable y = permute(tape, counting({2, 3, 2}), {2, 0, 1});
  EXPECT_EQ(y.shape(), Shape({2, 2, 3}));
  EXPECT_THAT(values_of(y.value), ElementsAre(0, 2, 4, 6, 8, 10, 1, 3, 5, 7, 9, 11));
  EXPECT_EQ(permute(tape, counting({2, 3, 4, 5}), {3, 1, 0, 2}).shape(), Shape({5, 3, 2, 4}));
  EXPECT_EQ(permute(tape, counting({2, 3}), {-1, 0}).shape(), Shape({3, 2}));
}

TEST(Permute, Gradients) {
  const auto check = [](const Shape& shape, std::initializer_list<int> axes) {
    SCOPED_TRACE(shape.to_string());
    expect_gradients({random_tensor(shape, 1)},
                     [&](Tape& tape, const auto& x) { return permute(tape, x[0], axes); });
  };
  check({}, {});
  check({5}, {0});
  check({3, 7}, {0, 1});
  check({3, 7}, {1, 0});
  check({1, 7}, {1, 0});
  check({2, 3, 5}, {1, 2, 0});
  check({2, 3, 5}, {2, 1, 0});
  check({2, 3, 5}, {0, 2, 1});
  check({2, 1, 3, 5}, {0, 2, 1, 3});
  check({2, 3, 2, 5}, {3, 0, 1, 2});
  check({2, 3, 2, 5}, {3, 2, 1, 0});
}

TEST(Transpose, ExchangesTwoAxes) {
  Tape tape;
  const Variable x = counting({2, 3, 4});
  EXPECT_EQ(values_of(transpose(tape, x).value), values_of(permute(tape, x, {0, 2, 1}).value));
  EXPECT_EQ(values_of(transpose(tape, x, 0, -1).value),
            values_of(permute(tape, x, {2, 1, 0}).value));
  EXPECT_EQ(transpose(tape, x, 0, 1).shape(), Shape({3, 2, 4}));
  for (const Shape& shape : {Shape{3, 5}, Shape{1, 4}, Shape{2, 3, 5}, Shape{2, 1, 3, 5}}) {
    SCOPED_TRACE(shape.to_string());
    expect_gradients({random_tensor(shape, 2)},
                     [](Tape& tape, const auto& t) { return transpose(tape, t[0]); });
    expect_gradients({random_tensor(shape, 3)},
                     [](Tape& tape, const auto& t) { return transpose(tape, t[0], 0, -1); });
    expect_gradients({random_tensor(shape, 4)},
                     [](Tape& tape, const auto& t) { return transpose(tape, t[0], 1, 1); });
  }
}

TEST(Reshape, SharesMemoryAndPassesTheGradient) {
  Tape tape;
  const Variable x = counting({2, 6});
  EXPECT_EQ(reshape(tape, x, {3, 4}).value.raw(), x.value.raw());
  const std::pair<Shape, Shape> pairs[] = {
      {{}, {1}}, {{1}, {}}, {{6}, {2, 3}}, {{2, 3, 5}, {30}}, {{2, 3, 5}, {5, 1, 3, 2}}};
  for (const auto& [from, to] : pairs) {
    SCOPED_TRACE(fmt::format("{} to {}", from.to_string(), to.to_string()));
    expect_gradients({random_tensor(from, 5)},
                     [to = to](Tape& t, const auto& v) { return reshape(t, v[0], to); });
    // Between ops, and beside another use of the same value.
    expect_gradients({random_tensor(from, 6)}, [to = to](Tape& t, const auto& v) {
      const Variable squared = multiply(t, v[0], v[0]);
      const Variable other = reshape(t, exp(t, squared), to);
      return multiply(t, reshape(t, squared, to), other);
    });
  }
}

TEST(Slice, Values) {
  Tape tape;
  const Variable x = counting({2, 3, 2});
  EXPECT_THAT(values_of(slice(tape, x, 0, 1, 1).value), ElementsAre(6, 7, 8, 9, 10, 11));
  EXPECT_THAT(values_of(slice(tape, x, 1, 1, 2).value), ElementsAre(2, 3, 4, 5, 8, 9, 10, 11));
  EXPECT_THAT(values_of(slice(tape, x, -1, 0, 1).value), ElementsAre(0, 2, 4, 6, 8, 10));
  EXPECT_EQ(slice(tape, x, 1, 3, 0).shape(), Shape({2, 0, 2}));
}

TEST(Slice, Gradients) {
  const Shape shapes[] = {{5}, {1}, {3, 7}, {2, 3, 5}, {2, 3, 1, 5}};
  for (const Shape& shape : shapes) {
    for (int axis = 0; axis < shape.rank(); ++axis) {
      for (int64_t start = 0; start < shape[axis]; start += 2) {
        const int64_t length = std::min<int64_t>(2, shape[axis] - start);
        SCOPED_TRACE(fmt::format("{} axis {} from {}", shape.to_string(), axis, start));
        expect_gradients({random_tensor(shape, 7)}, [&](Tape& tape, const auto& x) {
          return slice(tape, x[0], axis, start, length);
        });
      }
    }
  }
}

TEST(Slice, OverlappingSlicesOfOneVariable) {
  expect_gradients({random_tensor({2, 7}, 8)}, [](Tape& tape, const auto& x) {
    const Variable a = slice(tape, x[0], 1, 0, 4), b = slice(tape, x[0], 1, 2, 4);
    return multiply(tape, a, b);
  });
}

TEST(Concat, Values) {
  Tape tape;
  const Variable a = counting({2, 2}), b = counting({2, 1});
  EXPECT_THAT(values_of(concat(tape, {a, b, a}, 1).value),
              ElementsAre(0, 1, 0, 0, 1, 2, 3, 1, 2, 3));
  EXPECT_THAT(values_of(concat(tape, {a, a}, 0).value), ElementsAre(0, 1, 2, 3, 0, 1, 2, 3));
  EXPECT_EQ(concat(tape, {a, b}, -1).shape(), Shape({2, 3}));
  EXPECT_EQ(values_of(concat(tape, {a}, 0).value), values_of(a.value));
}

TEST(Concat, Gradients) {
  const Shape shapes[] = {{5}, {3, 4}, {2, 1, 3}, {2, 3, 2, 1}};
  for (const Shape& shape : shapes) {
    for (int axis = 0; axis < shape.rank(); ++axis) {
      SCOPED_TRACE(fmt::format("{} axis {}", shape.to_string(), axis));
      const Shape longer = shape.with(axis, shape[axis] + 2), one = shape.with(axis, 1);
      expect_gradients({random_tensor(shape, 9), random_tensor(longer, 10), random_tensor(one, 11)},
                       [&](Tape& tape, const auto& x) { return concat(tape, x, axis); });
      expect_gradients({random_tensor(shape, 12)}, [&](Tape& tape, const auto& x) {
        return concat(tape, {x[0], x[0]}, axis - shape.rank());
      });
    }
  }
}

TEST(GatherRows, ValuesAndShapes) {
  Tape tape;
  const Variable table = counting({3, 2});
  const auto indices = [](const Shape& shape, const std::vector<int32_t>& values) {
    return Tensor::from(shape, values);
  };
  EXPECT_THAT(values_of(gather_rows(tape, table, indices({3}, {2, 0, 2})).value),
              ElementsAre(4, 5, 0, 1, 4, 5));
  EXPECT_EQ(gather_rows(tape, table, indices({}, {1})).shape(), Shape({2}));
  EXPECT_EQ(gather_rows(tape, table, indices({2, 1}, {1, 0})).shape(), Shape({2, 1, 2}));
  EXPECT_EQ(gather_rows(tape, table, indices({1, 2, 1}, {1, 0})).shape(), Shape({1, 2, 1, 2}));
}

TEST(GatherRows, Gradients) {
  for (const Shape& shape : {Shape{}, Shape{1}, Shape{9}, Shape{2, 5}, Shape{2, 1, 3}}) {
    for (const Shape& table : {Shape{4, 3}, Shape{1, 5}, Shape{11, 1}, Shape{5, 19}}) {
      SCOPED_TRACE(fmt::format("{} of {}", shape.to_string(), table.to_string()));
      // Fewer rows than indices: some are taken twice, in the larger tables some never.
      const Tensor indices = random_indices(shape, 13, table[0]);
      expect_gradients({random_tensor(table, 14)},
                       [&](Tape& tape, const auto& x) { return gather_rows(tape, x[0], indices); });
    }
  }
}

TEST(Movement, ErrorsNameTheOpAndTheShapes) {
  Tape tape;
  const Variable x = counting({2, 3});
  const auto says = [](const char* op, const char* shape) {
    return AllOf(HasSubstr(fmt::format("{}: ", op)), HasSubstr(shape));
  };
  EXPECT_THAT(error_of([&] { permute(tape, x, {0}); }), says("permute", "(2, 3)"));
  EXPECT_THAT(error_of([&] { permute(tape, x, {0, 0}); }), says("permute", "(2, 3)"));
  EXPECT_THAT(error_of([&] { permute(tape, x, {0, 2}); }), says("permute", "(2, 3)"));
  EXPECT_THAT(error_of([&] { transpose(tape, x, 0, 2); }), says("transpose", "(2, 3)"));
  EXPECT_THAT(error_of([&] { transpose(tape, counting({3})); }), says("transpose", "(3)"));
  EXPECT_THAT(error_of([&] { reshape(tape, x, {7}); }),
              AllOf(says("reshape", "(2, 3)"), HasSubstr("(7)")));
  EXPECT_THAT(error_of([&] { slice(tape, x, 2, 0, 1); }), says("slice", "(2, 3)"));
  EXPECT_THAT(error_of([&] { slice(tape, x, 1, 2, 2); }), says("slice", "(2, 3)"));
  EXPECT_THAT(error_of([&] { slice(tape, x, 1, -1, 2); }), says("slice", "(2, 3)"));
  EXPECT_THAT(error_of([&] { slice(tape, x, 1, 1, -1); }), says("slice", "(2, 3)"));
  EXPECT_THAT(error_of([&] { concat(tape, {}, 0); }), HasSubstr("concat: "));
  EXPECT_THAT(error_of([&] { concat(tape, {x, x}, 2); }), says("concat", "(2, 3)"));
  EXPECT_THAT(error_of([&] {
                concat(tape, {x, counting({3, 3})}, 1);
              }),
              AllOf(says("concat", "(2, 3)"), HasSubstr("(3, 3)")));
  EXPECT_THAT(error_of([&] {
                concat(tape, {x, counting({3})}, 0);
              }),
              AllOf(says("concat", "(2, 3)"), HasSubstr("(3)")));
}

TEST(Movement, ErrorsOfIndicesAndTypes) {
  Tape tape;
  const Variable x = counting({2, 3});
  const Variable tokens{random_indices({2, 3}, 15, 2)};
  const auto gather = [&](const Variable& table, const Tensor& indices) {
    return error_of([&] { gather_rows(tape, table, indices); });
  };
  EXPECT_THAT(gather(x, Tensor::from<int32_t>({2}, {0, 2})),
              AllOf(HasSubstr("gather_rows: "), HasSubstr("element 1"), HasSubstr("is 2"),
                    HasSubstr("below 2")));
  EXPECT_THAT(gather(x, Tensor::from<int32_t>({1}, {-1})),
              AllOf(HasSubstr("gather_rows: "), HasSubstr("is -1")));
  EXPECT_THAT(gather(x, x.value), AllOf(HasSubstr("gather_rows: "), HasSubstr("f64 (2, 3)")));
  EXPECT_THAT(gather(x, Tensor()), AllOf(HasSubstr("gather_rows: "), HasSubstr("empty")));
  EXPECT_THAT(gather(counting({3}), tokens.value), HasSubstr("(3); wanted (V, C)"));
  EXPECT_THAT(gather(x, random_indices({1, 1, 1, 1}, 16, 2)), HasSubstr("(1, 1, 1, 1)"));
  EXPECT_THAT(error_of([&] { permute(tape, tokens, {1, 0}); }), HasSubstr("permute: x is i32"));
  EXPECT_THAT(error_of([&] { transpose(tape, tokens); }), HasSubstr("transpose: x is i32"));
  EXPECT_THAT(error_of([&] { slice(tape, tokens, 0, 0, 1); }), HasSubstr("slice: x is i32"));
  EXPECT_THAT(error_of([&] { concat(tape, {tokens}, 0); }), HasSubstr("concat: part 0 is i32"));
  EXPECT_THAT(error_of([&] { reshape(tape, Variable{}, {1}); }), HasSubstr("reshape: "));
  const Variable single{tensor_of({2, 3}, values_of(x.value), DType::f32)};
  EXPECT_THAT(error_of([&] {
                concat(tape, {x, single}, 0);
              }),
              AllOf(HasSubstr("concat: "), HasSubstr("f32 (2, 3)"), HasSubstr("wanted f64")));
}

}  // namespace
}  // namespace folio
