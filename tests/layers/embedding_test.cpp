// The embedding layer.
#include "folio/layers/embedding.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <vector>

#include "support/gradcheck.h"

namespace folio {
namespace {

TEST(EmbeddingLayer, GivesRowsOfItsTable) {
  ParameterStore store(DType::f64);
  const Embedding layer(Scope(store) / "tokens", 5, 3);
  store.initialize(1);
  EXPECT_EQ(layer.weight->name, "tokens.weight");
  const Tensor tokens = Tensor::from<int32_t>({1, 3}, {4, 0, 4});
  Tape tape;
  const Variable y = layer(tape, tokens);
  EXPECT_EQ(y.shape(), Shape({1, 3, 3}));
  const std::vector<double> table = values_of(layer.weight->value), value = values_of(y.value);
  for (int c = 0; c < 3; ++c) {
    EXPECT_EQ(value[c], table[12 + c]);
    EXPECT_EQ(value[3 + c], table[c]);
    EXPECT_EQ(value[6 + c], table[12 + c]);
  }
  expect_parameter_gradients(store, [&](Tape& t) { return layer(t, tokens); });
}

}  // namespace
}  // namespace folio
