// The linear layer.
#include "folio/layers/linear.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/gradcheck.h"
#include "support/temporary.h"

namespace folio {
namespace {

using testing::Each;

TEST(LinearLayer, ComputesItsFormula) {
  for (bool bias : {false, true}) {
    ParameterStore store(DType::f64);
    const Linear layer(Scope(store) / "up", 4, 3, bias, Init::normal(0.02), Activation::gelu);
    store.initialize(1);
    EXPECT_EQ(layer.weight->name, "up.weight");
    EXPECT_EQ(layer.weight->shape, Shape({3, 4}));
    EXPECT_EQ(layer.bias != nullptr, bias);
    if (bias) {
      EXPECT_EQ(layer.bias->name, "up.bias");
      EXPECT_THAT(values_of(layer.bias->value), Each(0.0));
    }
    randomize(store, 1, 0.5);
    const Variable x{random_tensor({2, 5, 4}, 2)};
    Tape tape;
    Variable z = matmul(tape, x, layer.weight->variable(), false, true);
    if (bias) z = add(tape, z, layer.bias->variable());
    const Variable y = layer(tape, x);
    EXPECT_EQ(y.shape(), Shape({2, 5, 3}));
    expect_close(values_of(y.value), values_of(gelu(tape, z).value), 1e-14, "value");
    expect_parameter_gradients(store, [&](Tape& t) { return layer(t, x); });
  }
}

TEST(LinearLayer, ErrorsNameTheLayer) {
  ParameterStore store;
  const Linear layer(Scope(store) / "blocks.0" / "up", 4, 3, false);
  Tape tape;
  EXPECT_EQ(error_of([&] {
              layer(tape, {Tensor({2, 4}, DType::f32)});
            }),
            "blocks.0.up.weight: the parameter has no memory yet; call initialize() on its store");
  store.initialize(1);
  EXPECT_THAT(error_of([&] {
                layer(tape, {Tensor({2, 5}, DType::f32)});
              }),
              testing::StartsWith("linear (blocks.0.up): "));
}

}  // namespace
}  // namespace folio
