// The feed-forward network.
#include "folio/layers/feed_forward.h"

#include <gtest/gtest.h>

#include <string>

#include "support/gradcheck.h"

namespace folio {
namespace {

TEST(FeedForwardLayer, EqualsItsParts) {
  for (bool bias : {false, true}) {
    ParameterStore store(DType::f64);
    const FeedForward layer(Scope(store) / "mlp", 4, 7, bias, Activation::gelu_tanh);
    store.initialize(1);
    EXPECT_EQ(store.find("mlp.up.weight").shape, Shape({7, 4}));
    EXPECT_EQ(store.find("mlp.down.weight").shape, Shape({4, 7}));
    EXPECT_EQ(store.parameters().size(), bias ? 4u : 2u);
    randomize(store, 9, 0.5);
    const Variable x{random_tensor({3, 4}, 10)};
    Tape tape;
    const auto affine = [&](const Variable& in, const std::string& name) {
      const Variable z = matmul(tape, in, store.find(name + ".weight").variable(), false, true);
      return bias ? add(tape, z, store.find(name + ".bias").variable()) : z;
    };
    const Variable expected = affine(gelu_tanh(tape, affine(x, "mlp.up")), "mlp.down");
    expect_close(values_of(layer(tape, x).value), values_of(expected.value), 1e-14, "value");
    expect_parameter_gradients(store, [&](Tape& t) { return layer(t, x); });
  }
}

}  // namespace
}  // namespace folio
