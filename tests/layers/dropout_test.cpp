// The dropout layer.
#include "folio/layers/dropout.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

#include "support/gradcheck.h"
#include "support/temporary.h"

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

TEST(DropoutLayer, AStepWithTheMasksOfTheLastIsRefused) {
  ParameterStore store;
  const Dropout dropout(Scope(store) / "a", 0.5);
  const Variable x{random_away_from_zero({10, 20}, 8)};
  Tape tape;
  const auto step = [&] {
    const std::vector<double> y = values_of(dropout(tape, x).value);
    tape.clear();
    return y;
  };
  step();  // evaluation draws no masks
  tape.set_training(true);
  const std::vector<double> first = step();
  EXPECT_THAT(error_of([&] { step(); }), testing::HasSubstr("call set_context("));
  tape.set_context({.seed = 1, .step = 1});
  EXPECT_NE(step(), first);
}

}  // namespace
}  // namespace folio
