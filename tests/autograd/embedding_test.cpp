// Token embedding plus positions.
#include <fmt/core.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <optional>
#include <vector>

#include "folio/autograd/ops.h"
#include "support/gradcheck.h"
#include "support/temporary.h"

namespace folio {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

struct Case {
  Shape tokens;  // (B, T)
  int64_t vocabulary, positions, width;
};

const Case cases[] = {{{1, 1}, 1, 1, 1}, {{2, 3}, 5, 3, 4},  {{2, 3}, 2, 7, 5},
                      {{3, 1}, 4, 2, 7}, {{1, 9}, 3, 9, 19}, {{4, 5}, 31, 6, 3}};

TEST(Embedding, Values) {
  Tape tape;
  const Variable table{Tensor::from<double>({3, 2}, {0, 1, 10, 11, 20, 21})};
  const Variable positions{Tensor::from<double>({3, 2}, {100, 200, 300, 400, 500, 600})};
  const Tensor tokens = Tensor::from<int32_t>({2, 2}, {2, 0, 1, 1});
  const Variable y = embedding(tape, tokens, table, positions);
  EXPECT_EQ(y.shape(), Shape({2, 2, 2}));
  EXPECT_THAT(values_of(y.value), ElementsAre(120, 221, 300, 401, 110, 211, 310, 411));
}

TEST(Embedding, Gradients) {
  for (const Case& c : cases) {
    SCOPED_TRACE(fmt::format("{} V {} positions {} C {}", c.tokens.to_string(), c.vocabulary,
                             c.positions, c.width));
    const Tensor tokens = random_indices(c.tokens, 1, c.vocabulary);
    expect_gradients(
        {random_tensor({c.vocabulary, c.width}, 2), random_tensor({c.positions, c.width}, 3)},
        [&](Tape& tape, const auto& x) { return embedding(tape, tokens, x[0], x[1]); });
  }
}

TEST(Embedding, LongerAndShorterBatchesAccumulate) {
  // The second, shorter batch must leave alone what the first gave the later positions, and the
  // other way round.
  const Tensor longer = random_indices({2, 5}, 4, 4), shorter = random_indices({3, 2}, 5, 4);
  for (bool longer_first : {false, true}) {
    expect_gradients({random_tensor({4, 3}, 6), random_tensor({6, 3}, 7)},
                     [&](Tape& tape, const auto& x) {
                       const Tensor& a = longer_first ? longer : shorter;
                       const Tensor& b = longer_first ? shorter : longer;
                       return add(tape, sum(tape, tanh(tape, embedding(tape, a, x[0], x[1]))),
                                  sum(tape, exp(tape, embedding(tape, b, x[0], x[1]))));
                     });
  }
}

TEST(Embedding, TableAndPositionsTheSameVariable) {
  const Tensor tokens = random_indices({2, 3}, 8, 5);
  expect_gradients({random_tensor({5, 4}, 9)},
                   [&](Tape& tape, const auto& x) { return embedding(tape, tokens, x[0], x[0]); });
}

TEST(Embedding, TableThatIsAlsoTheOutputProjection) {
  const Tensor tokens = random_indices({2, 3}, 10, 5);
  expect_gradients({random_tensor({5, 4}, 11), random_tensor({3, 4}, 12)},
                   [&](Tape& tape, const auto& x) {
                     const Variable h = tanh(tape, embedding(tape, tokens, x[0], x[1]));
                     return linear(tape, h, x[0], std::nullopt);
                   });
}

TEST(Embedding, ErrorsNameTheShapes) {
  Tape tape;
  const Variable table{random_tensor({5, 4}, 13)}, positions{random_tensor({3, 4}, 14)};
  const auto error = [&](const Tensor& tokens, const Variable& t, const Variable& p) {
    return error_of([&] { embedding(tape, tokens, t, p); });
  };
  const Tensor tokens = random_indices({2, 3}, 15, 5);
  EXPECT_THAT(error(random_indices({3}, 16, 5), table, positions),
              AllOf(HasSubstr("embedding: tokens are i32 (3)"), HasSubstr("(B, T)")));
  EXPECT_THAT(error(Tensor(), table, positions), HasSubstr("empty"));
  EXPECT_THAT(error(random_indices({2, 4}, 17, 5), table, positions),
              AllOf(HasSubstr("embedding: "), HasSubstr("(5, 4)"), HasSubstr("(3, 4)"),
                    HasSubstr("at least 4")));
  EXPECT_THAT(error(tokens, table, {random_tensor({3, 2}, 18)}),
              AllOf(HasSubstr("embedding: "), HasSubstr("(5, 4)"), HasSubstr("(3, 2)")));
  EXPECT_THAT(error(tokens, {random_tensor({5}, 19)}, positions),
              AllOf(HasSubstr("embedding: "), HasSubstr("(5)"), HasSubstr("(3, 4)")));
  EXPECT_THAT(error(Tensor::from<int32_t>({1, 2}, {0, 5}), table, positions),
              AllOf(HasSubstr("embedding: element 1 of tokens is 5"), HasSubstr("below 5")));
  EXPECT_THAT(error(Tensor::from<int32_t>({1, 2}, {-1, 0}), table, positions),
              HasSubstr("element 0 of tokens is -1"));
  EXPECT_THAT(error(random_tensor({2, 3}, 20), table, positions), HasSubstr("f64 (2, 3)"));
  const Variable single{tensor_of({3, 4}, std::vector<double>(12, 0.5), DType::f32)};
  EXPECT_THAT(
      error(tokens, table, single),
      AllOf(HasSubstr("embedding: positions"), HasSubstr("f32 (3, 4)"), HasSubstr("wanted f64")));
}

}  // namespace
}  // namespace folio
