// Multi-head attention: every flag, packed and with separate queries, keys and values.
#include <fmt/core.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "folio/autograd/ops.h"
#include "support/gradcheck.h"
#include "support/temporary.h"

namespace folio {
namespace {

using testing::AllOf;
using testing::HasSubstr;

struct Size {
  int64_t batch, heads, queries, keys, head_dim;
  int64_t columns() const { return heads * head_dim; }
  Shape q() const { return {batch, queries, columns()}; }
  Shape kv() const { return {batch, keys, columns()}; }
  std::string to_string() const {
    return fmt::format("B {} H {} Tq {} Tk {} d {}", batch, heads, queries, keys, head_dim);
  }
};

const Size sizes[] = {
    {1, 1, 1, 1, 1}, {1, 2, 3, 3, 5}, {2, 3, 5, 5, 4}, {2, 1, 4, 7, 3},
    {1, 2, 7, 4, 2}, {2, 2, 1, 6, 8}, {1, 1, 9, 9, 9},
};

/// (B, T, C) to (B, H, T, d).
Variable split(Tape& tape, const Variable& x, int64_t heads) {
  const Shape shape{x.dim(0), x.dim(1), heads, x.dim(2) / heads};
  return permute(tape, reshape(tape, x, shape), {0, 2, 1, 3});
}

/// What is added to the scores: 0 where a query sees a key, -1e30 where it does not.
Variable mask_of(const Size& size, const AttentionOptions& options, DType dtype) {
  std::vector<double> values;
  for (int64_t b = 0; b < size.batch; ++b) {
    for (int64_t h = 0; h < size.heads; ++h) {
      for (int64_t i = 0; i < size.queries; ++i) {
        for (int64_t j = 0; j < size.keys; ++j) {
          const bool future = options.causal && j > i + size.keys - size.queries;
          const bool padding =
              options.key_mask && options.key_mask->data<int32_t>()[b * size.keys + j] == 0;
          values.push_back(future || padding ? -1e30 : 0.0);
        }
      }
    }
  }
  return {tensor_of({size.batch, size.heads, size.queries, size.keys}, values, dtype)};
}

/// Attention made of fine ops. Every query must see a key.
Variable composed(Tape& tape, const Size& size, const Variable& q, const Variable& k,
                  const Variable& v, const AttentionOptions& options) {
  const Variable scores =
      matmul(tape, split(tape, q, size.heads), split(tape, k, size.heads), false, true);
  const double scale = 1.0 / std::sqrt(static_cast<double>(size.head_dim));
  const Variable seen =
      add(tape, multiply(tape, scores, scale), mask_of(size, options, q.value.dtype()));
  const Variable probabilities = dropout(tape, softmax(tape, seen), options.dropout, options.site);
  const Variable y = matmul(tape, probabilities, split(tape, v, size.heads));
  return reshape(tape, permute(tape, y, {0, 2, 1, 3}), size.q());
}

/// i32 (B, Tk): keys 1, 3, ... of each sample are padding, the first never.
Tensor padding_of(const Size& size) {
  Tensor mask({size.batch, size.keys}, DType::i32);
  for (int64_t i = 0; i < mask.numel(); ++i) {
    mask.data<int32_t>()[i] = i % size.keys % 2 == 0 ? 1 : 0;
  }
  return mask;
}

std::vector<Tensor> inputs_of(const Size& size) {
  return {random_tensor(size.q(), 1, -2.0, 2.0), random_tensor(size.kv(), 2, -2.0, 2.0),
          random_tensor(size.kv(), 3)};
}

/// Calls `check` with every combination of flags.
void with_every_flag(const Size& size, const std::function<void(const AttentionOptions&)>& check) {
  const Tensor padding = padding_of(size);
  for (bool causal : {false, true}) {
    for (const std::optional<Tensor>& key_mask :
         {std::optional<Tensor>(), std::optional<Tensor>(padding)}) {
      for (double probability : {0.0, 0.3}) {
        SCOPED_TRACE(fmt::format("{} causal {} mask {} dropout {}", size.to_string(), causal,
                                 key_mask.has_value(), probability));
        check({.heads = size.heads,
               .causal = causal,
               .dropout = probability,
               .site = 17,
               .key_mask = key_mask});
      }
    }
  }
}

TEST(Attention, Gradients) {
  for (const Size& size : sizes) {
    with_every_flag(size, [&](const AttentionOptions& options) {
      expect_gradients(inputs_of(size), [&](Tape& tape, const auto& x) {
        return attention(tape, x[0], x[1], x[2], options);
      });
    });
  }
}

TEST(Attention, EqualsItsParts) {
  for (const Size& size : sizes) {
    // More queries than keys: causal, the first ones see nothing, which softmax cannot say.
    if (size.queries > size.keys) continue;
    with_every_flag(size, [&](const AttentionOptions& options) {
      expect_same_function(
          inputs_of(size),
          [&](Tape& tape, const auto& x) { return attention(tape, x[0], x[1], x[2], options); },
          [&](Tape& tape, const auto& x) {
            return composed(tape, size, x[0], x[1], x[2], options);
          });
    });
  }
}

TEST(Attention, PackedEqualsSeparate) {
  for (const Size& size : sizes) {
    if (size.queries != size.keys) continue;
    const Shape packed = size.q().with(2, 3 * size.columns());
    with_every_flag(size, [&](const AttentionOptions& options) {
      const std::vector<Tensor> input = {random_tensor(packed, 4, -2.0, 2.0)};
      const auto function = [&](Tape& tape, const std::vector<Variable>& x) {
        return attention(tape, x[0], options);
      };
      expect_gradients(input, function);
      expect_same_function(input, function, [&](Tape& tape, const auto& x) {
        const auto part = [&](int i) {
          return slice(tape, x[0], 2, i * size.columns(), size.columns());
        };
        return attention(tape, part(0), part(1), part(2), options);
      });
    });
  }
}

TEST(Attention, PackedKeysAndValuesEqualSeparate) {
  for (const Size& size : sizes) {
    const int64_t columns = size.columns();
    const Shape packed = size.kv().with(2, 2 * columns);
    with_every_flag(size, [&](const AttentionOptions& options) {
      const std::vector<Tensor> inputs = {random_tensor(size.q(), 4, -2.0, 2.0),
                                          random_tensor(packed, 5, -2.0, 2.0)};
      const Function function = [&](Tape& tape, const std::vector<Variable>& x) {
        return attention(tape, x[0], x[1], options);
      };
      expect_gradients(inputs, function);
      expect_same_function(inputs, function, [&](Tape& tape, const auto& x) {
        const Variable k = slice(tape, x[1], 2, 0, columns);
        const Variable v = slice(tape, x[1], 2, columns, columns);
        return attention(tape, x[0], k, v, options);
      });
    });
  }
}

// The columns of queries, keys and values decide who shares a gradient, not the slot alone.
TEST(Attention, QueriesOfTheVariableThatHoldsKeysAndValues) {
  const Size size{2, 2, 3, 3, 2};
  const Shape packed = size.kv().with(2, 2 * size.columns());
  with_every_flag(size, [&](const AttentionOptions& options) {
    const std::vector<Tensor> input = {random_tensor(packed, 6)};
    const Function function = [&](Tape& tape, const std::vector<Variable>& x) {
      return attention(tape, slice(tape, x[0], 2, 1, size.columns()), x[0], options);
    };
    expect_gradients(input, function);
  });
}

TEST(Attention, QueriesKeysAndValuesTheSameVariable) {
  for (const Size& size : sizes) {
    if (size.queries != size.keys) continue;
    with_every_flag(size, [&](const AttentionOptions& options) {
      expect_gradients({random_tensor(size.q(), 5)}, [&](Tape& tape, const auto& x) {
        return attention(tape, x[0], x[0], x[0], options);
      });
    });
  }
}

TEST(Attention, TwoOfThreeTheSameVariable) {
  for (const Size& size : {sizes[2], sizes[3]}) {
    with_every_flag(size, [&](const AttentionOptions& options) {
      const std::vector<Tensor> x = {random_tensor(size.q(), 6), random_tensor(size.kv(), 7)};
      expect_gradients(x, [&](Tape& tape, const auto& x) {
        return attention(tape, x[0], x[1], x[1], options);  // keys and values: a memory
      });
      if (size.queries != size.keys) return;
      expect_gradients(
          x, [&](Tape& tape, const auto& x) { return attention(tape, x[0], x[0], x[1], options); });
      expect_gradients(
          x, [&](Tape& tape, const auto& x) { return attention(tape, x[0], x[1], x[0], options); });
    });
  }
}

TEST(Attention, AcrossTheKernelsBlocksOfQueries) {
  const Size size{1, 2, 53, 53, 3};
  with_every_flag(size, [&](const AttentionOptions& options) {
    expect_same_function(
        inputs_of(size),
        [&](Tape& tape, const auto& x) { return attention(tape, x[0], x[1], x[2], options); },
        [&](Tape& tape, const auto& x) { return composed(tape, size, x[0], x[1], x[2], options); });
  });
}

TEST(Attention, QueryThatSeesNoKeyGivesZero) {
  const Size size{2, 2, 3, 4, 3};
  // Nothing of the second sample may be seen.
  const Tensor mask = Tensor::from<int32_t>({2, 4}, {1, 0, 1, 1, 0, 0, 0, 0});
  for (bool causal : {false, true}) {
    for (double probability : {0.0, 0.3}) {
      const AttentionOptions options{.heads = size.heads,
                                     .causal = causal,
                                     .dropout = probability,
                                     .site = 3,
                                     .key_mask = mask};
      const Function function = [&](Tape& tape, const auto& x) {
        return attention(tape, x[0], x[1], x[2], options);
      };
      expect_gradients(inputs_of(size), function);
      Tape tape;
      const std::vector<Tensor> x = inputs_of(size);
      const std::vector<double> y =
          values_of(function(tape, {Variable{x[0]}, Variable{x[1]}, Variable{x[2]}}).value);
      EXPECT_EQ(std::vector<double>(y.begin() + 18, y.end()), std::vector<double>(18, 0.0));
    }
  }
}

TEST(Attention, FewerKeysThanQueries) {
  // Causal, query i sees keys 0 .. i + 2 - 4: the first two see none.
  const Size size{1, 1, 4, 2, 3};
  Tape tape;
  const std::vector<Tensor> x = inputs_of(size);
  const Variable y = attention(tape, {x[0]}, {x[1]}, {x[2]}, {.heads = 1, .causal = true});
  const std::vector<double> values = values_of(y.value), v = values_of(x[2]);
  EXPECT_EQ(std::vector<double>(values.begin(), values.begin() + 6), std::vector<double>(6, 0.0));
  expect_close({values.begin() + 6, values.begin() + 9}, {v.begin(), v.begin() + 3}, 1e-15,
               "the third query sees the first key alone");
}

TEST(Attention, LargeScoresStayFinite) {
  for (DType dtype : {DType::f32, DType::f64}) {
    Tape tape;
    const auto leaf = [&](const std::vector<double>& values) {
      return tape.leaf(tensor_of({1, 2, 1}, values, dtype));
    };
    const Variable q = leaf({300.0, -300.0}), k = leaf({300.0, -300.0}), v = leaf({1.0, 2.0});
    const Variable y = attention(tape, q, k, v, {.heads = 1});
    expect_close(values_of(y.value), {1.0, 2.0}, 1e-6, "value");
    tape.backward(sum(tape, y));
    for (const Variable* x : {&q, &k, &v}) {
      for (double g : values_of(tape.gradient(*x))) EXPECT_TRUE(std::isfinite(g));
    }
  }
}

TEST(Attention, PartOfABatchHasThatPartOfTheDropout) {
  const Size whole{4, 2, 3, 3, 2}, half{2, 2, 3, 3, 2};
  const std::vector<Tensor> x = inputs_of(whole);
  const AttentionOptions options{.heads = 2, .causal = true, .dropout = 0.5, .site = 1};
  Tape tape;
  tape.set_training(true);
  const Variable y = attention(tape, {x[0]}, {x[1]}, {x[2]}, options);
  tape.set_context({.seed = 0, .step = 0, .first_sample = 2});
  const auto second = [&](int i) { return Variable{x[i].view(24, half.q())}; };
  const Variable part = attention(tape, second(0), second(1), second(2), options);
  const std::vector<double> values = values_of(y.value);
  expect_close(values_of(part.value), {values.begin() + 24, values.end()}, 1e-14, "second half");
}

TEST(Attention, ErrorsNameTheShapes) {
  Tape tape;
  const auto variable = [](const Shape& shape) { return Variable{random_tensor(shape, 6)}; };
  const auto error = [&](const Shape& q, const Shape& k, const Shape& v, int64_t heads = 2) {
    return error_of(
        [&] { attention(tape, variable(q), variable(k), variable(v), {.heads = heads}); });
  };
  EXPECT_THAT(error({3, 4}, {2, 3, 4}, {2, 3, 4}),
              AllOf(HasSubstr("attention: "), HasSubstr("(3, 4)"), HasSubstr("(2, 3, 4)")));
  EXPECT_THAT(error({2, 3, 4}, {2, 3, 6}, {2, 3, 6}),
              AllOf(HasSubstr("attention: k"), HasSubstr("(2, 3, 6)"), HasSubstr("(2, 3, 4)")));
  EXPECT_THAT(error({2, 3, 4}, {1, 3, 4}, {1, 3, 4}),
              AllOf(HasSubstr("attention: k"), HasSubstr("(1, 3, 4)"), HasSubstr("(2, 3, 4)")));
  EXPECT_THAT(error({2, 3, 4}, {2, 5, 4}, {2, 3, 4}),
              AllOf(HasSubstr("attention: v"), HasSubstr("(2, 3, 4)"), HasSubstr("(2, 5, 4)")));
  EXPECT_THAT(error({2, 3, 4}, {2, 3, 4}, {2, 3, 4}, 3),
              AllOf(HasSubstr("attention: "), HasSubstr("3 heads"), HasSubstr("4 columns")));
  EXPECT_THAT(error({2, 3, 4}, {2, 3, 4}, {2, 3, 4}, 0), HasSubstr("0 heads"));
  const auto packed = [&](const Shape& shape, const AttentionOptions& options) {
    return error_of([&] { attention(tape, variable(shape), options); });
  };
  EXPECT_THAT(packed({2, 3, 4}, {.heads = 2}),
              AllOf(HasSubstr("attention: qkv"), HasSubstr("(2, 3, 4)"), HasSubstr("3 C")));
  EXPECT_THAT(packed({3, 6}, {.heads = 2}),
              AllOf(HasSubstr("attention: qkv"), HasSubstr("(3, 6)")));
  EXPECT_THAT(packed({2, 3, 6}, {.heads = 4}), AllOf(HasSubstr("4 heads"), HasSubstr("2 columns")));
  const auto keys_values = [&](const Shape& q, const Shape& kv, int64_t heads = 2) {
    return error_of([&] { attention(tape, variable(q), variable(kv), {.heads = heads}); });
  };
  EXPECT_THAT(keys_values({3, 4}, {2, 3, 8}), AllOf(HasSubstr("attention: "), HasSubstr("(3, 4)"),
                                                    HasSubstr("(2, 3, 8)"), HasSubstr("2 C")));
  EXPECT_THAT(
      keys_values({2, 3, 4}, {2, 3, 4}),
      AllOf(HasSubstr("attention: keys_values"), HasSubstr("(2, 3, 4)"), HasSubstr("(2, 3, 8)")));
  EXPECT_THAT(
      keys_values({2, 3, 4}, {1, 5, 8}),
      AllOf(HasSubstr("attention: keys_values"), HasSubstr("(1, 5, 8)"), HasSubstr("(2, 5, 8)")));
  EXPECT_THAT(keys_values({2, 3, 4}, {2, 5, 8}, 3),
              AllOf(HasSubstr("3 heads"), HasSubstr("4 columns")));
  const Tensor wrong = random_indices({2, 4}, 7, 2), floating = random_tensor({2, 3}, 8), empty;
  EXPECT_THAT(packed({2, 3, 6}, {.heads = 2, .key_mask = wrong}),
              AllOf(HasSubstr("key_mask is i32 (2, 4)"), HasSubstr("wanted i32 (2, 3)")));
  EXPECT_THAT(packed({2, 3, 6}, {.heads = 2, .key_mask = floating}), HasSubstr("f64 (2, 3)"));
  EXPECT_THAT(packed({2, 3, 6}, {.heads = 2, .key_mask = empty}), HasSubstr("empty"));
  EXPECT_THAT(packed({2, 3, 6}, {.heads = 2, .dropout = 1.5}), HasSubstr("dropout"));
}

}  // namespace
}  // namespace folio
