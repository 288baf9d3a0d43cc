// The multi-head attention layer: self-attention and cross-attention.
#include "folio/layers/attention.h"

#include <fmt/core.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "support/gradcheck.h"
#include "support/temporary.h"

namespace folio {
namespace {

using testing::AllOf;
using testing::HasSubstr;

constexpr int64_t width = 6, heads = 2;

const Tensor some_padding = Tensor::from<int32_t>({2, 5}, {1, 1, 1, 0, 0, 1, 0, 1, 1, 1});
const std::optional<Tensor> masks[] = {std::nullopt, some_padding};

/// A layer of the type under test, with random parameters; the tape is training.
template <class Layer>
class LayerTest : public testing::TestWithParam<bool> {
 protected:
  LayerTest() {
    store.initialize(1);
    randomize(store, 1, 0.7);
    tape.set_training(true);
  }

  static AttentionLayerOptions options(bool causal = true) {
    return {.width = width, .heads = heads, .causal = causal, .dropout = 0.3, .bias = GetParam()};
  }

  /// x times rows [part * width, ...) of a packed weight, plus their bias.
  static Variable part(Tape& t, const Variable& x, const Linear& packed, int part) {
    const auto rows = [&](Parameter& p) { return slice(t, p.variable(), 0, part * width, width); };
    const Variable y = matmul(t, x, rows(*packed.weight), false, true);
    return packed.bias == nullptr ? y : add(t, y, rows(*packed.bias));
  }

  /// (B, T, C) to (B, H, T, d).
  static Variable split(Tape& t, const Variable& x) {
    return permute(t, reshape(t, x, {x.dim(0), x.dim(1), heads, x.dim(2) / heads}), {0, 2, 1, 3});
  }

  /// softmax(q k^T / sqrt(d)) v of fine ops.
  static Variable attend(Tape& t, const Variable& q, const Variable& k, const Variable& v,
                         bool causal, const std::optional<Tensor>& key_mask, const Dropout& drop) {
    const int64_t batch = q.dim(0), queries = q.dim(1), keys = k.dim(1);
    std::vector<double> hidden;
    for (int64_t b = 0; b < batch; ++b) {
      for (int64_t i = 0; i < heads * queries; ++i) {
        for (int64_t j = 0; j < keys; ++j) {
          const bool future = causal && j > i % queries + keys - queries;
          const bool padding = key_mask && key_mask->data<int32_t>()[b * keys + j] == 0;
          hidden.push_back(future || padding ? -1e30 : 0.0);
        }
      }
    }
    const Variable mask{tensor_of({batch, heads, queries, keys}, hidden, DType::f64)};
    const double scale = 1.0 / std::sqrt(static_cast<double>(width / heads));
    const Variable scores = multiply(t, matmul(t, split(t, q), split(t, k), false, true), scale);
    const Variable seen = dropout(t, softmax(t, add(t, scores, mask)), drop.probability, drop.site);
    const Variable mixed = permute(t, matmul(t, seen, split(t, v)), {0, 2, 1, 3});
    return reshape(t, mixed, q.shape());
  }

  /// Value and gradients of all parameters agree, and the gradients with differences.
  void expect_same(const std::function<Variable(Tape&)>& layer,
                   const std::function<Variable(Tape&)>& parts) {
    expect_close(values_of(layer(tape).value), values_of(parts(tape).value), 1e-12, "value");
    expect_close(gradients(layer), gradients(parts), 1e-11, "gradients");
    expect_passed(check_gradients(
        store, [&](Tape& t) { return weighted_sum(t, layer(t)); }, tape));
  }

  /// The gradients of the inputs agree with differences.
  void expect_input_gradients(const std::vector<Tensor>& inputs, const Function& function) {
    expect_passed(check_gradients(
        inputs,
        [&](Tape& t, const std::vector<Variable>& v) { return weighted_sum(t, function(t, v)); },
        tape));
  }

  /// The gradient slab after a backward through `function`.
  std::vector<double> gradients(const std::function<Variable(Tape&)>& function) {
    store.start_gradients();
    tape.backward(weighted_sum(tape, function(tape)));
    store.finish_gradients();
    return values_of(store.gradients());
  }

  ParameterStore store{DType::f64};
  Layer layer{Scope(store) / "attention", options()};
  Tape tape;
};

using SelfAttentionLayer = LayerTest<SelfAttention>;
using CrossAttentionLayer = LayerTest<CrossAttention>;

TEST_P(SelfAttentionLayer, ParametersHaveTheirNamesAndShapes) {
  EXPECT_EQ(store.find("attention.qkv.weight").shape, Shape({3 * width, width}));
  EXPECT_EQ(store.find("attention.projection.weight").shape, Shape({width, width}));
  EXPECT_EQ(store.parameters().size(), GetParam() ? 4u : 2u);
  if (GetParam()) {
    EXPECT_EQ(store.find("attention.qkv.bias").shape, Shape({3 * width}));
  }
}

TEST_P(CrossAttentionLayer, ParametersHaveTheirNamesAndShapes) {
  EXPECT_EQ(store.find("attention.query.weight").shape, Shape({width, width}));
  EXPECT_EQ(store.find("attention.key_value.weight").shape, Shape({2 * width, width}));
  EXPECT_EQ(store.find("attention.projection.weight").shape, Shape({width, width}));
  EXPECT_EQ(store.parameters().size(), GetParam() ? 6u : 3u);
  if (GetParam()) {
    EXPECT_EQ(store.find("attention.query.bias").shape, Shape({width}));
    EXPECT_EQ(store.find("attention.key_value.bias").shape, Shape({2 * width}));
    EXPECT_EQ(store.find("attention.projection.bias").shape, Shape({width}));
  }
}

TEST_P(SelfAttentionLayer, EqualsItsParts) {
  const Variable x{random_tensor({2, 5, width}, 2)};
  for (bool causal : {false, true}) {
    layer.causal = causal;
    for (const std::optional<Tensor>& key_mask : masks) {
      SCOPED_TRACE(fmt::format("causal {} mask {}", causal, key_mask.has_value()));
      expect_same([&](Tape& t) { return layer(t, x, key_mask); },
                  [&](Tape& t) {
                    const auto of = [&](int i) { return part(t, x, layer.qkv, i); };
                    return layer.projection(
                        t, attend(t, of(0), of(1), of(2), causal, key_mask, layer.dropout));
                  });
    }
  }
}

TEST_P(CrossAttentionLayer, EqualsItsParts) {
  const Variable x{random_tensor({2, 3, width}, 3)}, memory{random_tensor({2, 5, width}, 4)};
  for (const std::optional<Tensor>& key_mask : masks) {
    SCOPED_TRACE(key_mask.has_value());
    const auto whole = [&](Tape& t) { return layer(t, x, layer.keys_values(t, memory), key_mask); };
    EXPECT_EQ(layer.keys_values(tape, memory).shape(), Shape({2, 5, 2 * width}));
    EXPECT_EQ(whole(tape).shape(), x.shape());
    expect_same(whole, [&](Tape& t) {
      const Variable k = part(t, memory, layer.key_value, 0);
      const Variable v = part(t, memory, layer.key_value, 1);
      return layer.projection(
          t, attend(t, part(t, x, layer.query, 0), k, v, false, key_mask, layer.dropout));
    });
  }
}

TEST_P(SelfAttentionLayer, SeesWhatItsOptionsSay) {
  EXPECT_TRUE(layer.causal);
  ParameterStore other(DType::f64);
  const SelfAttention both(Scope(other) / "attention", options(/*causal=*/false));
  EXPECT_FALSE(both.causal);
  other.initialize(1);
  randomize(other, 1, 0.7);
  // The last position sees all in both; the first sees more where the layer is not causal.
  const Variable x{random_tensor({1, 4, width}, 5)};
  Tape t;
  const std::vector<double> causal = values_of(layer(t, x).value);
  const std::vector<double> all = values_of(both(t, x).value);
  expect_close({all.end() - width, all.end()}, {causal.end() - width, causal.end()}, 1e-13, "last");
  EXPECT_FALSE(std::equal(all.begin(), all.begin() + width, causal.begin()));
}

// With the weights of a self-attention that is not causal, split in two.
TEST_P(CrossAttentionLayer, ToItselfIsSelfAttention) {
  ParameterStore other(DType::f64);
  const SelfAttention self(Scope(other) / "attention", options(/*causal=*/false));
  other.initialize(2);
  randomize(other, 2, 0.7);
  const auto take = [&](const std::string& name, const std::string& from, int64_t first) {
    const Tensor& to = store.find("attention." + name).value;
    const double* begin =
        other.find("attention." + from).value.data<double>() + first * to.shape().columns();
    std::copy(begin, begin + to.numel(), to.data<double>());
  };
  take("query.weight", "qkv.weight", 0);
  take("key_value.weight", "qkv.weight", width);
  take("projection.weight", "projection.weight", 0);
  if (GetParam()) {
    const auto take_bias = [&](const std::string& name, const std::string& from, int64_t first) {
      const Tensor& to = store.find("attention." + name).value;
      const double* begin = other.find("attention." + from).value.data<double>() + first;
      std::copy(begin, begin + to.numel(), to.data<double>());
    };
    take_bias("query.bias", "qkv.bias", 0);
    take_bias("key_value.bias", "qkv.bias", width);
    take_bias("projection.bias", "projection.bias", 0);
  }
  const Tensor x = random_tensor({2, 4, width}, 5);
  expect_same_function(
      {x}, [&](Tape& t, const auto& v) { return layer(t, v[0], layer.keys_values(t, v[0])); },
      [&](Tape& t, const auto& v) { return self(t, v[0]); });
}

TEST_P(SelfAttentionLayer, GradientsOfTheInputs) {
  for (bool causal : {false, true}) {
    layer.causal = causal;
    for (const std::optional<Tensor>& key_mask : masks) {
      expect_input_gradients({random_tensor({2, 5, width}, 6)},
                             [&](Tape& t, const auto& v) { return layer(t, v[0], key_mask); });
    }
  }
}

TEST_P(CrossAttentionLayer, GradientsOfTheInputs) {
  for (const std::optional<Tensor>& key_mask : masks) {
    expect_input_gradients({random_tensor({2, 3, width}, 7), random_tensor({2, 5, width}, 8)},
                           [&](Tape& t, const auto& v) {
                             return layer(t, v[0], layer.keys_values(t, v[1]), key_mask);
                           });
  }
}

// A decoder computes keys and values once.
TEST_P(CrossAttentionLayer, KeysAndValuesAreReusable) {
  const Variable x{random_tensor({2, 3, width}, 9)}, memory{random_tensor({2, 5, width}, 10)};
  Tape t;
  const Variable kept = layer.keys_values(t, memory);
  const std::vector<double> all = values_of(layer(t, x, kept, masks[1]).value);
  for (int64_t i = 0; i < 3; ++i) {
    const std::vector<double> one = values_of(layer(t, slice(t, x, 1, i, 1), kept, masks[1]).value);
    for (int64_t b = 0; b < 2; ++b) {
      const auto row = all.begin() + (b * 3 + i) * width;
      expect_close({one.begin() + b * width, one.begin() + (b + 1) * width}, {row, row + width},
                   1e-13, "one query");
    }
  }
}

std::string with_or_without(const testing::TestParamInfo<bool>& info) {
  return info.param ? "with" : "without";
}
INSTANTIATE_TEST_SUITE_P(Bias, SelfAttentionLayer, testing::Bool(), with_or_without);
INSTANTIATE_TEST_SUITE_P(Bias, CrossAttentionLayer, testing::Bool(), with_or_without);

TEST(AttentionLayerErrors, HeadsMustDivideTheWidth) {
  for (int64_t count : {4, 0, -1}) {
    ParameterStore store;
    const Scope scope = Scope(store) / "blocks.0.attention";
    const auto complaint = AllOf(HasSubstr("blocks.0.attention: "),
                                 HasSubstr(fmt::format("{} heads", count)), HasSubstr("width 6"));
    EXPECT_THAT(error_of([&] { SelfAttention(scope, {.width = 6, .heads = count}); }), complaint);
    EXPECT_THAT(error_of([&] { CrossAttention(scope, {.width = 6, .heads = count}); }), complaint);
  }
}

TEST(AttentionLayerErrors, InputMustHaveTheWidth) {
  ParameterStore store;
  const SelfAttention layer(Scope(store) / "attention", {.width = 6, .heads = 2});
  const CrossAttention cross(Scope(store) / "cross_attention", {.width = 6, .heads = 2});
  const SelfAttention both(Scope(store) / "both", {.width = 6, .heads = 2, .causal = false});
  store.initialize(1);
  Tape tape;
  const Variable x{tensor_of({1, 2, 4}, std::vector<double>(8, 1.0), DType::f32)};
  const Variable good{tensor_of({1, 2, 6}, std::vector<double>(12, 1.0), DType::f32)};
  EXPECT_THAT(error_of([&] { layer(tape, x); }),
              AllOf(HasSubstr("linear ("), HasSubstr("(1, 2, 4)"), HasSubstr("(18, 6)")));
  EXPECT_THAT(error_of([&] { cross.keys_values(tape, x); }),
              AllOf(HasSubstr("linear ("), HasSubstr("(1, 2, 4)"), HasSubstr("(12, 6)")));
  EXPECT_THAT(error_of([&] { cross(tape, x, cross.keys_values(tape, good)); }),
              AllOf(HasSubstr("linear ("), HasSubstr("(1, 2, 4)"), HasSubstr("(6, 6)")));
  const Tensor cache({1, 4, 12}, DType::f32);
  EXPECT_THAT(error_of([&] {
                both(tape, good, KeyValueCache{cache, 0});
              }),
              HasSubstr("requires causal attention"));
  // The memory itself instead of its keys and values.
  EXPECT_THAT(
      error_of([&] { cross(tape, good, good); }),
      AllOf(HasSubstr("attention: keys_values"), HasSubstr("(1, 2, 6)"), HasSubstr("(1, 2, 12)")));
}

}  // namespace
}  // namespace folio
