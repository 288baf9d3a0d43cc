// The dropout layer.
#include "folio/layers/dropout.h"

#include <gtest/gtest.h>

#include "support/gradcheck.h"

namespace folio {
namespace {

TEST(DropoutLayer, PlacesDrawDifferentNumbers) {
  ParameterStore store;
  const Dropout first(Scope(store) / "a", 0.5), second(Scope(store) / "b", 0.5);
  const Variable x{random_away_from_zero({10, 20}, 8)};
  Tape tape;
  tape.set_training(true);
  EXPECT_NE(values_of(first(tape, x).value), values_of(second(tape, x).value));
  EXPECT_EQ(values_of(first(tape, x).value), values_of(first(tape, x).value));
  tape.set_training(false);
  EXPECT_EQ(values_of(first(tape, x).value), values_of(x.value));
}

}  // namespace
}  // namespace folio
