// The tape: order, lifetimes, constants, sharing of gradients, misuse.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "folio/autograd/ops.h"
#include "folio/kernels/kernels.h"
#include "folio/tensor/error.h"
#include "support/gradcheck.h"
#include "support/temporary.h"

namespace folio {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

/// y = x, calling `note` on the way back before it hands the gradient on.
template <class Note>
Variable probe(Tape& tape, const Variable& x, Note note) {
  const Variable y = tape.output_like(x);
  tape.kernels().copy({&y.value, false}, x.value);
  tape.record("probe", y, [note = std::move(note), dx = x.slot, dy = y.slot](Tape& t) {
    note(t);
    t.pass_grad(dx, t.grad(dy));
  });
  return y;
}

Tensor vector_of(const std::vector<double>& values) {
  const Shape shape{static_cast<int64_t>(values.size())};
  return Tensor::from(shape, values);
}

TEST(Tape, ClosuresRunInReverse) {
  Tape tape;
  std::vector<int> order;
  Variable x = tape.leaf(vector_of({1.0}));
  for (int i = 0; i < 4; ++i) {
    x = probe(tape, x, [&order, i](Tape&) { order.push_back(i); });
  }
  EXPECT_EQ(tape.size(), 4u);
  EXPECT_TRUE(order.empty());
  tape.backward(x);
  EXPECT_THAT(order, ElementsAre(3, 2, 1, 0));
  EXPECT_EQ(tape.size(), 0u);
}

TEST(Tape, ClosuresAreDestroyedAsTheyRun) {
  Tape tape;
  std::vector<bool> later_alive;
  const auto second_owns = std::make_shared<std::weak_ptr<int>>();
  const Variable x = tape.leaf(vector_of({1.0}));
  const Variable first = probe(tape, x, [&later_alive, second_owns](Tape&) {
    later_alive.push_back(!second_owns->expired());
  });
  auto owned = std::make_shared<int>(5);
  *second_owns = owned;
  const Variable second = probe(tape, first, [&later_alive, owned = std::move(owned)](Tape&) {
    later_alive.push_back(owned != nullptr);
  });
  EXPECT_FALSE(second_owns->expired());
  tape.backward(second);
  EXPECT_THAT(later_alive, ElementsAre(true, false));
}

TEST(Tape, ClosuresNotReachedAreDestroyedWithoutRunning) {
  Tape tape;
  int runs = 0;
  auto owned = std::make_shared<int>(5);
  const std::weak_ptr<int> watch = owned;
  const Variable x = tape.leaf(vector_of({2.0}));
  const Variable used = multiply(tape, x, x);
  const Variable unused = probe(tape, x, [&runs, owned = std::move(owned)](Tape&) { ++runs; });
  tape.backward(used);
  EXPECT_EQ(runs, 0);
  EXPECT_TRUE(watch.expired());
  EXPECT_THAT(values_of(tape.gradient(x)), ElementsAre(4.0));
}

TEST(Tape, ClearDestroysClosuresWithoutRunning) {
  Tape tape;
  int runs = 0;
  auto owned = std::make_shared<int>(5);
  const std::weak_ptr<int> watch = owned;
  probe(tape, tape.leaf(vector_of({2.0})), [&runs, owned = std::move(owned)](Tape&) { ++runs; });
  EXPECT_FALSE(watch.expired());
  tape.clear();
  EXPECT_EQ(tape.size(), 0u);
  EXPECT_TRUE(watch.expired());
  EXPECT_EQ(runs, 0);
}

TEST(Tape, ThrowingBackwardLeavesTheTapeClean) {
  Tape tape;
  int runs = 0;
  const auto owned = std::make_shared<int>(5);
  const size_t before = allocator(Device::cpu).statistics().live_blocks;
  {
    const Variable x = tape.leaf(vector_of({2.0}));
    const Variable early = probe(tape, x, [&runs, owned](Tape&) { ++runs; });
    const Variable late = probe(tape, early, [owned](Tape&) { fail("probe", "went wrong"); });
    const Variable loss = multiply(tape, late, late);
    EXPECT_THAT(error_of([&] { tape.backward(loss); }), HasSubstr("probe: went wrong"));
  }
  EXPECT_EQ(tape.size(), 0u);
  EXPECT_EQ(runs, 0);
  EXPECT_EQ(owned.use_count(), 1);
  EXPECT_EQ(allocator(Device::cpu).statistics().live_blocks, before);
  // And it works again.
  const Variable x = tape.leaf(vector_of({3.0}));
  tape.backward(multiply(tape, x, x));
  EXPECT_THAT(values_of(tape.gradient(x)), ElementsAre(6.0));
}

TEST(Tape, ConstantsGetNoGradient) {
  Tape tape;
  const Variable constant{vector_of({2.0, 3.0})}, x = tape.leaf(vector_of({5.0, 7.0}));
  const Variable product = multiply(tape, constant, constant);
  EXPECT_FALSE(product.needs_grad());
  EXPECT_EQ(tape.size(), 0u);
  EXPECT_FALSE(tape.grad_of(nullptr));
  EXPECT_FALSE(tape.grad(nullptr));
  tape.pass_grad(nullptr, constant.value);  // does nothing
  const Variable y = multiply(tape, x, product);
  EXPECT_TRUE(y.needs_grad());
  EXPECT_EQ(tape.size(), 1u);
  tape.backward(sum(tape, y));
  EXPECT_THAT(values_of(tape.gradient(x)), ElementsAre(4.0, 9.0));
  EXPECT_THAT(error_of([&] { tape.gradient(constant); }), HasSubstr("gradient: "));
}

TEST(Tape, GradientOfALeafThatNothingReached) {
  Tape tape;
  const Variable x = tape.leaf(vector_of({1.0})), y = tape.leaf(vector_of({1.0}));
  EXPECT_THAT(error_of([&] { tape.gradient(x); }), HasSubstr("no gradient has reached"));
  tape.backward(multiply(tape, y, y));
  EXPECT_THAT(error_of([&] { tape.gradient(x); }), HasSubstr("no gradient has reached"));
}

TEST(Tape, ScaleMultipliesTheGradient) {
  Tape tape;
  const Variable x = tape.leaf(vector_of({2.0, -3.0}));
  tape.backward(sum(tape, multiply(tape, x, x)), 0.25);
  EXPECT_THAT(values_of(tape.gradient(x)), ElementsAre(1.0, -1.5));
}

TEST(Tape, LeavesAccumulateOverBackwards) {
  Tape tape;
  const Variable x = tape.leaf(vector_of({2.0}));
  for (int i = 0; i < 3; ++i) tape.backward(multiply(tape, x, x));
  EXPECT_THAT(values_of(tape.gradient(x)), ElementsAre(12.0));
}

TEST(Tape, VariablesOfAnEarlierGraphAreRefused) {
  Tape tape;
  const Variable x = tape.leaf(vector_of({2.0}));
  const Variable square = multiply(tape, x, x);
  tape.backward(square);
  const std::string why =
      "belongs to an earlier graph, which backward() or clear() ended; pass its detach()";
  EXPECT_EQ(error_of([&] { multiply(tape, x, square); }), "multiply: input 2 " + why);
  // The tape can be used on.
  tape.backward(multiply(tape, x, square.detach()));
  EXPECT_THAT(values_of(tape.gradient(x)), ElementsAre(4.0 + 4.0));

  const Variable kept = multiply(tape, x, x);
  tape.clear();
  const Variable fresh = tape.leaf(vector_of({5.0}));  // in the slot that x had
  EXPECT_EQ(error_of([&] { add(tape, fresh, x); }), "add: input 2 " + why);
  EXPECT_EQ(error_of([&] { reshape(tape, kept, {1, 1}); }), "reshape: input 1 " + why);
  EXPECT_EQ(error_of([&] { concat(tape, {fresh, kept}, 0); }), "concat: input 2 " + why);
  EXPECT_THAT(error_of([&] { tape.gradient(x); }), HasSubstr("made before clear()"));
  EXPECT_THAT(error_of([&] { tape.backward(kept); }), HasSubstr("not recorded on this tape"));
  Tape other;
  EXPECT_EQ(error_of([&] { add(other, other.leaf(vector_of({1.0})), fresh); }),
            "add: input 2 " + why);
  {
    const NoRecording pause(tape);  // values may be used everywhere
    EXPECT_THAT(values_of(add(tape, fresh, kept).value), ElementsAre(9.0));
  }
}

TEST(Tape, TruncatedBackpropagationThroughDetach) {
  // h_t = w h_(t-1); the gradient of h_2 alone, with h_1 as a constant, is h_1.
  Tape tape;
  ParameterStore store(DType::f64);
  Parameter& w = store.create("w", {1}, Init::ones());
  store.initialize(1);
  Variable h{vector_of({3.0})};
  for (int step = 0; step < 3; ++step) {
    store.start_gradients();
    h = multiply(tape, w.variable(), h.detach());
    tape.backward(h);
    tape.clear();
    EXPECT_THAT(values_of(w.grad), ElementsAre(3.0));
  }
}

TEST(Tape, NoRecordingKeepsNothing) {
  Tape tape;
  const Variable x = tape.leaf(vector_of({2.0, 3.0}));
  const size_t before = allocator(Device::cpu).statistics().live_blocks;
  {
    NoRecording pause(tape);
    EXPECT_FALSE(tape.recording());
    {
      NoRecording again(tape);
      const Variable y = multiply(tape, exp(tape, x), x);
      EXPECT_FALSE(y.needs_grad());
      EXPECT_FALSE(reshape(tape, x, {2, 1}).needs_grad());
    }
    EXPECT_FALSE(tape.recording());
  }
  EXPECT_TRUE(tape.recording());
  EXPECT_EQ(tape.size(), 0u);
  EXPECT_EQ(allocator(Device::cpu).statistics().live_blocks, before);
}

TEST(Tape, BackwardRefusesWrongLosses) {
  Tape tape;
  const Variable x = tape.leaf(vector_of({2.0, 3.0}));
  const auto error = [&](const Variable& loss) { return error_of([&] { tape.backward(loss); }); };
  EXPECT_THAT(error({vector_of({1.0})}),
              AllOf(HasSubstr("backward: "), HasSubstr("depends on no")));
  EXPECT_THAT(error(multiply(tape, x, x)),
              AllOf(HasSubstr("backward: "), HasSubstr("f64 (2)"), HasSubstr("one element")));
  std::optional<Variable> unrecorded;
  {
    NoRecording pause(tape);
    unrecorded = sum(tape, x);
  }
  EXPECT_THAT(error(*unrecorded), HasSubstr("not recording"));
  Tape other;
  const Variable foreign = sum(other, other.leaf(vector_of({1.0, 2.0})));
  EXPECT_THAT(error(foreign), AllOf(HasSubstr("backward: "), HasSubstr("not recorded")));
  EXPECT_EQ(other.size(), 1u);
  const Variable loss = sum(tape, x);
  tape.backward(loss);
  EXPECT_THAT(error(loss), AllOf(HasSubstr("backward: "), HasSubstr("not recorded")));
  EXPECT_THAT(values_of(tape.gradient(x)), ElementsAre(1.0, 1.0));
}

TEST(Tape, AddGivesItsGradientToBothWithoutACopy) {
  Tape tape;
  const void* first = nullptr;
  const void* second = nullptr;
  const Variable x = tape.leaf(vector_of({1.0, 2.0})), z = tape.leaf(vector_of({3.0, 4.0}));
  const Variable a = tape.output_like(x), b = tape.output_like(z);
  for (const auto& [from, to, seen] : {std::tuple(x, a, &first), std::tuple(z, b, &second)}) {
    tape.kernels().copy({&to.value, false}, from.value);
    tape.record("look", to, [dx = from.slot, dy = to.slot, seen = seen](Tape& t) {
      *seen = t.grad(dy).raw();
      t.pass_grad(dx, t.grad(dy));
    });
  }
  const Variable y = add(tape, a, reshape(tape, b, {2}));
  tape.backward(weighted_sum(tape, y));
  EXPECT_NE(first, nullptr);
  EXPECT_EQ(first, second);
}

TEST(Tape, SharersPartWhenOneAccumulates) {
  // On the way back `last` gives one tensor to a and b (and to c through reshape); then the ops
  // before it add more to a, and to c, which must not show in b.
  const Function graph = [](Tape& tape, const std::vector<Variable>& x) {
    const Variable a = tanh(tape, x[0]), b = exp(tape, x[1]), c = tanh(tape, x[2]);
    const Variable more_a = multiply(tape, a, a), more_c = multiply(tape, c, a);
    const Variable last = add(tape, add(tape, a, b), reshape(tape, c, a.shape()));
    return add(tape, last, multiply(tape, more_a, more_c));
  };
  for (const Shape& shape : {Shape{}, Shape{5}, Shape{2, 3}}) {
    SCOPED_TRACE(shape.to_string());
    expect_gradients({random_tensor(shape, 1), random_tensor(shape, 2), random_tensor(shape, 3)},
                     graph);
  }
}

TEST(Tape, AccumulatingLeavesTheOtherSharerAlone) {
  Tape tape;
  const Variable x = tape.leaf(vector_of({1.0, 2.0})), z = tape.leaf(vector_of({3.0, 4.0}));
  std::vector<double> seen_a, seen_b;
  const Variable b = probe(tape, z, [](Tape&) {});
  // b's closure runs last: it must see what add gave it, whatever a has received since.
  const Variable b2 = tape.output_like(b);
  tape.kernels().copy({&b2.value, false}, b.value);
  tape.record("look", b2, [&seen_b, db = b.slot, dy = b2.slot](Tape& t) {
    seen_b = values_of(t.grad(dy));
    t.pass_grad(db, t.grad(dy));
  });
  const Variable a = tape.output_like(x);
  tape.kernels().copy({&a.value, false}, x.value);
  tape.record("look", a, [&seen_a, dx = x.slot, dy = a.slot](Tape& t) {
    seen_a = values_of(t.grad(dy));
    t.pass_grad(dx, t.grad(dy));
  });
  const Variable ten_a = multiply(tape, a, 10.0);
  const Variable y = add(tape, a, b2);
  tape.backward(sum(tape, add(tape, y, ten_a)));
  EXPECT_THAT(seen_a, ElementsAre(11.0, 11.0));
  EXPECT_THAT(seen_b, ElementsAre(1.0, 1.0));
}

TEST(Tape, LeafOwnsTheGradientItIsGiven) {
  // Both summands are leaves: had they shared memory, a later backward would add to both.
  Tape tape;
  const Variable x = tape.leaf(vector_of({1.0})), z = tape.leaf(vector_of({1.0}));
  tape.backward(add(tape, x, z));
  tape.backward(multiply(tape, x, 5.0));
  EXPECT_THAT(values_of(tape.gradient(x)), ElementsAre(6.0));
  EXPECT_THAT(values_of(tape.gradient(z)), ElementsAre(1.0));
}

TEST(Tape, OpWithTwoOutputsRunsWhenEitherIsReached) {
  for (int used : {0, 1, 2}) {
    Tape tape;
    const Variable x = tape.leaf(vector_of({1.0}));
    const Variable first = tape.output_like(x), second = tape.output_like(x);
    for (const Variable& y : {first, second}) tape.kernels().copy({&y.value, false}, x.value);
    std::vector<bool> reached;
    tape.record("two", first, second,
                [&reached, dx = x.slot, d1 = first.slot, d2 = second.slot](Tape& t) {
                  reached = {static_cast<bool>(t.grad(d1)), static_cast<bool>(t.grad(d2))};
                  for (const GradSlot* dy : {d1, d2}) {
                    if (t.grad(dy)) t.pass_grad(dx, t.grad(dy));
                  }
                });
    Variable loss = used == 1 ? second : first;
    loss = used == 2 ? add(tape, first, second) : multiply(tape, loss, 1.0);
    tape.backward(loss);
    EXPECT_THAT(reached, ElementsAre(used != 1, used != 0));
    EXPECT_THAT(values_of(tape.gradient(x)), ElementsAre(used == 2 ? 2.0 : 1.0));
  }
}

TEST(Tape, MoreClosuresThanOneChunkHolds) {
  Tape tape;
  for (int round = 0; round < 2; ++round) {
    const Variable x = tape.leaf(vector_of({1.0, -1.0}));
    Variable y = x;
    for (int i = 0; i < 3000; ++i) y = add(tape, y, x);
    // A large capture: 3,000 doubles in the closure itself.
    std::array<double, 3000> large;
    large.fill(2.0);
    y = probe(tape, y, [large](Tape&) { EXPECT_EQ(large[2999], 2.0); });
    for (int i = 0; i < 3000; ++i) y = add(tape, y, x);
    EXPECT_EQ(tape.size(), 6001u);
    tape.backward(sum(tape, y));
    EXPECT_THAT(values_of(tape.gradient(x)), ElementsAre(6001.0, 6001.0));
    tape.clear();
  }
}

TEST(Tape, ClosuresLieWhereThoseOfTheLastBackwardLay) {
  Tape tape;
  const Variable x = tape.leaf(vector_of({1.0}));
  std::vector<const void*> places;
  for (int round = 0; round < 2; ++round) {
    tape.backward(probe(tape, x, [&places, mark = 1.0](Tape&) { places.push_back(&mark); }));
  }
  ASSERT_EQ(places.size(), 2u);
  EXPECT_EQ(places[0], places[1]);
}

TEST(Tape, DropoutMaskCountsElementsOfTheWholeBatch) {
  Tape tape;
  tape.set_context({.seed = 5, .step = 7, .first_sample = 3});
  EXPECT_EQ(tape.dropout_mask(0.5, 9, {2, 3, 4}).probability, 0.0);  // not training
  tape.set_training(true);
  const DropoutMask mask = tape.dropout_mask(0.5, 9, {2, 3, 4});
  EXPECT_EQ(mask.probability, 0.5);
  EXPECT_EQ(mask.first_index, 36u);
  EXPECT_EQ(mask.stream.seed, 5u);
  EXPECT_EQ(mask.stream.step, 7u);
  EXPECT_EQ(mask.stream.purpose, 9u);
}

}  // namespace
}  // namespace folio
