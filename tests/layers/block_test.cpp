// A residual block, in pre-norm and post-norm order, against the same thing made of fine ops.
#include "folio/layers/block.h"

#include <fmt/core.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "support/gradcheck.h"

namespace folio {
namespace {

constexpr int64_t batch = 2, length = 5, width = 6, heads = 2;
constexpr double probability = 0.3;
const Shape shape{batch, length, width};

/// The block's mathematics with its parameters, from multiply, matmul, softmax and their like.
struct ByHand {
  ParameterStore& store;
  BlockOptions config;

  Variable parameter(const std::string& name) const {
    return store.find("block." + name).variable();
  }

  Variable drop(Tape& t, const Variable& x, const std::string& place) const {
    return dropout(t, x, probability, purpose_of("block." + place + ".dropout"));
  }

  Variable affine(Tape& t, const Variable& x, const std::string& name) const {
    const Variable y = matmul(t, x, parameter(name + ".weight"), false, true);
    return config.bias ? add(t, y, parameter(name + ".bias")) : y;
  }

  Variable norm(Tape& t, const Variable& x, const std::string& name) const {
    // A product with this matrix puts the mean of a row into each of its columns.
    const std::vector<double> entries(width * width, 1.0 / width);
    const Variable average{tensor_of({width, width}, entries, DType::f64)};
    const Variable centred = subtract(t, x, matmul(t, x, average));
    const Variable variance = matmul(t, multiply(t, centred, centred), average);
    const Variable eps{tensor_of({}, {1e-5}, DType::f64)};
    const Variable unit = divide(t, centred, sqrt(t, add(t, variance, eps)));
    const Variable y = multiply(t, unit, parameter(name + ".weight"));
    return config.bias ? add(t, y, parameter(name + ".bias")) : y;
  }

  Variable attention(Tape& t, const Variable& x) const {
    const Variable qkv = affine(t, x, "attention.qkv");
    const auto heads_of = [&](int64_t part) {  // (B, T, C) to (B, H, T, d)
      const Variable columns = slice(t, qkv, 2, part * width, width);
      return permute(t, reshape(t, columns, {batch, length, heads, width / heads}), {0, 2, 1, 3});
    };
    std::vector<double> future;
    for (int64_t i = 0; i < batch * heads * length * length; ++i) {
      future.push_back(i % length > i / length % length ? -1e30 : 0.0);
    }
    const Variable mask{tensor_of({batch, heads, length, length}, future, DType::f64)};
    const double scale = 1.0 / std::sqrt(static_cast<double>(width / heads));
    const Variable scores = multiply(t, matmul(t, heads_of(0), heads_of(1), false, true), scale);
    const Variable seen = drop(t, softmax(t, add(t, scores, mask)), "attention");
    const Variable mixed = permute(t, matmul(t, seen, heads_of(2)), {0, 2, 1, 3});
    return affine(t, reshape(t, mixed, shape), "attention.projection");
  }

  Variable feed_forward(Tape& t, const Variable& x) const {
    const Variable z = affine(t, x, "feed_forward.up");
    Variable h;
    switch (config.activation) {
      case Activation::none:
        h = z;
        break;
      case Activation::relu:
        h = relu(t, z);
        break;
      case Activation::gelu:
        h = gelu(t, z);
        break;
      case Activation::gelu_tanh:
        h = gelu_tanh(t, z);
        break;
    }
    return affine(t, h, "feed_forward.down");
  }

  Variable operator()(Tape& t, const Variable& x) const {
    if (config.norm == Norm::pre) {
      const Variable a = attention(t, norm(t, x, "attention_norm"));
      const Variable y = add(t, x, drop(t, a, "attention_residual"));
      const Variable f = feed_forward(t, norm(t, y, "feed_forward_norm"));
      return add(t, y, drop(t, f, "feed_forward_residual"));
    }
    const Variable a = drop(t, attention(t, x), "attention_residual");
    const Variable y = norm(t, add(t, x, a), "attention_norm");
    const Variable f = drop(t, feed_forward(t, y), "feed_forward_residual");
    return norm(t, add(t, y, f), "feed_forward_norm");
  }
};

/// The block with nothing pending, before or after it.
Variable run(Tape& t, const Block& block, const Variable& x) {
  ResidualStream stream{.stream = x, .update = {}};
  block(t, stream);
  if (!stream.update.value) return stream.stream;
  return add(t, stream.stream, (*stream.dropout)(t, stream.update));
}

struct Case {
  Norm norm;
  bool bias;
  Activation activation;
};

class BlockTest : public testing::TestWithParam<Case> {
 protected:
  BlockTest() {
    store.initialize(1);
    randomize(store, 1, 0.7);
    tape.set_training(true);
  }

  /// The gradient slab after a backward through `function` at x.
  std::vector<double> gradients(const Function& function, const Tensor& x) {
    store.start_gradients();
    tape.backward(weighted_sum(tape, function(tape, {Variable{x}})));
    store.finish_gradients();
    return values_of(store.gradients());
  }

  const BlockOptions config{.width = width,
                            .heads = heads,
                            .dropout = probability,
                            .bias = GetParam().bias,
                            .norm = GetParam().norm,
                            .activation = GetParam().activation};
  ParameterStore store{DType::f64};
  Block block{Scope(store) / "block", config};
  Tape tape;
};

TEST_P(BlockTest, EqualsFineOps) {
  const Tensor x = random_tensor(shape, 2);
  const ByHand by_hand{store, config};
  const Function fused = [&](Tape& t, const auto& v) { return run(t, block, v[0]); };
  const Function fine = [&](Tape& t, const auto& v) { return by_hand(t, v[0]); };
  expect_same_function({x}, fused, fine, 1e-11);
  expect_close(gradients(fused, x), gradients(fine, x), 1e-11, "gradients of the parameters");
}

TEST_P(BlockTest, Gradients) {
  const Tensor x = random_tensor(shape, 3);
  expect_passed(check_gradients(
      {x}, [&](Tape& t, const auto& v) { return weighted_sum(t, run(t, block, v[0])); }, tape));
  expect_parameter_gradients(store, [&](Tape& t) { return run(t, block, {x}); });
}

INSTANTIATE_TEST_SUITE_P(Orders, BlockTest,
                         testing::Values(Case{Norm::pre, false, Activation::gelu},
                                         Case{Norm::pre, true, Activation::gelu_tanh},
                                         Case{Norm::post, true, Activation::relu},
                                         Case{Norm::post, false, Activation::gelu}),
                         [](const auto& info) {
                           return fmt::format("{}_{}_bias_{}",
                                              info.param.norm == Norm::pre ? "pre" : "post",
                                              info.param.bias ? "with" : "without",
                                              static_cast<int>(info.param.activation));
                         });

TEST(ResidualStream, NormalizeAddsWhatIsPending) {
  ParameterStore store(DType::f64);
  const LayerNorm norm(Scope(store) / "norm", width, false);
  const Dropout drop(Scope(store) / "residual", 0.5);
  store.initialize(1);
  const Variable x{random_tensor(shape, 4)}, update{random_tensor(shape, 5)};
  Tape tape;
  tape.set_training(true);
  ResidualStream stream{.stream = x, .update = update, .dropout = &drop};
  const Variable y = stream.normalize(tape, norm);
  const Variable sum = add(tape, x, drop(tape, update));
  expect_close(values_of(stream.stream.value), values_of(sum.value), 1e-15, "stream");
  expect_close(values_of(y.value), values_of(norm(tape, sum).value), 1e-14, "normalized");
  EXPECT_FALSE(stream.update.value);
  // With nothing pending the stream stays what it is.
  const void* memory = stream.stream.value.raw();
  stream.normalize(tape, norm);
  EXPECT_EQ(stream.stream.value.raw(), memory);
}

}  // namespace
}  // namespace folio
