// The multi-head attention layer: self-attention and cross-attention.
#include "folio/layers/attention.h"

#include <fmt/core.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/gradcheck.h"
#include "support/temporary.h"

namespace folio {
namespace {

using testing::AllOf;
using testing::HasSubstr;

constexpr int64_t width = 6, heads = 2;

class AttentionLayer : public testing::TestWithParam<bool> {
 protected:
  AttentionLayer() {
    store.initialize(1);
    randomize(store, 1, 0.7);
    tape.set_training(true);
  }

  /// x times rows [part * width, ...) of the packed weight, plus their bias.
  Variable part(Tape& t, const Variable& x, int part) {
    const auto rows = [&](Parameter& p) { return slice(t, p.variable(), 0, part * width, width); };
    const Variable y = matmul(t, x, rows(*layer.qkv.weight), false, true);
    return layer.qkv.bias == nullptr ? y : add(t, y, rows(*layer.qkv.bias));
  }

  /// The layer made of smaller ops.
  Variable by_hand(Tape& t, const Variable& x, const Variable& memory, bool causal,
                   const Tensor* key_mask) {
    const Variable y = attention(t, part(t, x, 0), part(t, memory, 1), part(t, memory, 2),
                                 {.heads = heads,
                                  .causal = causal,
                                  .dropout = layer.dropout.probability,
                                  .site = layer.dropout.site,
                                  .key_mask = key_mask});
    return layer.projection(t, y);
  }

  /// The gradient slab after a backward through `function`.
  std::vector<double> gradients(const std::function<Variable(Tape&)>& function) {
    store.start_gradients();
    tape.backward(weighted_sum(tape, function(tape)));
    store.finish_gradients();
    return values_of(store.gradients());
  }

  ParameterStore store{DType::f64};
  MultiHeadAttention layer{Scope(store) / "attention", width, heads, GetParam(), 0.3};
  Tape tape;
};

TEST_P(AttentionLayer, ParametersHaveTheirNamesAndShapes) {
  EXPECT_EQ(store.find("attention.qkv.weight").shape, Shape({3 * width, width}));
  EXPECT_EQ(store.find("attention.projection.weight").shape, Shape({width, width}));
  EXPECT_EQ(store.parameters().size(), GetParam() ? 4u : 2u);
  if (GetParam()) {
    EXPECT_EQ(store.find("attention.qkv.bias").shape, Shape({3 * width}));
  }
}

TEST_P(AttentionLayer, SelfAttentionEqualsItsParts) {
  const Variable x{random_tensor({2, 5, width}, 2)};
  const Tensor mask = Tensor::from<int32_t>({2, 5}, {1, 1, 1, 0, 0, 1, 0, 1, 1, 1});
  for (bool causal : {false, true}) {
    for (const Tensor* key_mask : {static_cast<const Tensor*>(nullptr), &mask}) {
      SCOPED_TRACE(fmt::format("causal {} mask {}", causal, key_mask != nullptr));
      const auto fused = [&](Tape& t) { return layer(t, x, causal, key_mask); };
      const auto parts = [&](Tape& t) { return by_hand(t, x, x, causal, key_mask); };
      expect_close(values_of(fused(tape).value), values_of(parts(tape).value), 1e-13, "value");
      expect_close(gradients(fused), gradients(parts), 1e-12, "gradients");
      expect_passed(check_gradients(
          store, [&](Tape& t) { return weighted_sum(t, fused(t)); }, tape));
    }
  }
}

TEST_P(AttentionLayer, CrossAttentionEqualsItsParts) {
  const Variable x{random_tensor({2, 3, width}, 3)}, memory{random_tensor({2, 5, width}, 4)};
  const Tensor mask = Tensor::from<int32_t>({2, 5}, {1, 1, 1, 0, 0, 1, 0, 1, 1, 1});
  for (const Tensor* key_mask : {static_cast<const Tensor*>(nullptr), &mask}) {
    SCOPED_TRACE(key_mask != nullptr);
    const auto fused = [&](Tape& t) { return layer(t, x, memory, key_mask); };
    const auto parts = [&](Tape& t) { return by_hand(t, x, memory, false, key_mask); };
    EXPECT_EQ(fused(tape).shape(), x.shape());
    expect_close(values_of(fused(tape).value), values_of(parts(tape).value), 1e-13, "value");
    expect_close(gradients(fused), gradients(parts), 1e-12, "gradients");
    expect_passed(check_gradients(
        store, [&](Tape& t) { return weighted_sum(t, fused(t)); }, tape));
  }
}

TEST_P(AttentionLayer, CrossAttentionToItselfIsSelfAttention) {
  const Tensor x = random_tensor({2, 4, width}, 5);
  expect_same_function(
      {x}, [&](Tape& t, const auto& v) { return layer(t, v[0], v[0]); },
      [&](Tape& t, const auto& v) { return layer(t, v[0], /*causal=*/false); });
}

TEST_P(AttentionLayer, GradientsOfTheInputs) {
  const auto check = [&](const std::vector<Tensor>& inputs, const auto& function) {
    expect_passed(check_gradients(
        inputs,
        [&](Tape& t, const std::vector<Variable>& v) { return weighted_sum(t, function(t, v)); },
        tape));
  };
  check({random_tensor({2, 4, width}, 6)},
        [&](Tape& t, const auto& v) { return layer(t, v[0], /*causal=*/true); });
  check({random_tensor({2, 3, width}, 7), random_tensor({2, 4, width}, 8)},
        [&](Tape& t, const auto& v) { return layer(t, v[0], v[1]); });
}

INSTANTIATE_TEST_SUITE_P(Bias, AttentionLayer, testing::Bool(),
                         [](const auto& info) { return info.param ? "with" : "without"; });

TEST(AttentionLayerErrors, HeadsMustDivideTheWidth) {
  for (int64_t count : {4, 0, -1}) {
    ParameterStore store;
    const Scope scope = Scope(store) / "blocks.0.attention";
    EXPECT_THAT(error_of([&] { MultiHeadAttention(scope, 6, count, false, 0.0); }),
                AllOf(HasSubstr("blocks.0.attention: "), HasSubstr(fmt::format("{} heads", count)),
                      HasSubstr("width 6")));
  }
}

TEST(AttentionLayerErrors, InputMustHaveTheWidth) {
  ParameterStore store;
  const MultiHeadAttention layer(Scope(store) / "attention", 6, 2, false, 0.0);
  store.initialize(1);
  Tape tape;
  const Variable x{tensor_of({1, 2, 4}, std::vector<double>(8, 1.0), DType::f32)};
  EXPECT_THAT(error_of([&] { layer(tape, x, true); }),
              AllOf(HasSubstr("linear: "), HasSubstr("(1, 2, 4)"), HasSubstr("(18, 6)")));
}

}  // namespace
}  // namespace folio
