#include "folio/comm/gradient_reducer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <string>
#include <vector>

#include "folio/autograd/ops.h"
#include "folio/tensor/error.h"
#include "support/thread_ranks.h"

namespace folio {
namespace {

/// Two parameters and a loss of both; `again` uses the first once more.
struct Model {
  explicit Model(DType dtype = DType::f64) : store(dtype) {
    a = &store.create("a", {40}, Init::normal(1.0));
    b = &store.create("b", {40}, Init::normal(1.0));
    store.initialize(1);
  }
  Variable loss(double factor, bool again = false) {
    const Tensor factors({40}, store.dtype());
    for (int64_t i = 0; i < 40; ++i) factors.data<double>()[i] = factor + static_cast<double>(i);
    const Variable product =
        multiply(tape, multiply(tape, a->variable(), b->variable()), {factors});
    return sum(tape, again ? add(tape, product, a->variable()) : product);
  }
  /// The gradients of one rank alone.
  std::vector<double> gradients(double factor) {
    store.start_gradients();
    tape.backward(loss(factor));
    tape.clear();
    return store.gradients().to_vector<double>();
  }

  ParameterStore store;
  Parameter *a, *b;
  Tape tape;
};

constexpr ReducerOptions small{.bucket_bytes = 128};  // 16 elements

/// Sums of what several ranks and rounds have, in order.
std::vector<double> expected_sum(int count) {
  std::vector<double> sum;
  for (int i = 0; i < count; ++i) {
    const std::vector<double> next = Model().gradients(i);
    if (sum.empty()) sum.assign(next.size(), -0.0);
    for (size_t k = 0; k < next.size(); ++k) sum[k] += next[k];
  }
  return sum;
}

TEST(GradientReducer, SumsOverRanksAndRounds) {
  for (const int ranks_count : {1, 2, 3}) {
    for (const int parts : {3, 5}) {
      on_ranks(ranks_count, [&](Communicator& ranks) {
        Model model;
        GradientReducer reducer(model.store, ranks, small);
        const int rounds = (parts + ranks.size() - 1) / ranks.size();
        for (int step = 0; step < 3; ++step) {
          for (int round = 0; round < rounds; ++round) {
            const int part = round * ranks.size() + ranks.rank();
            reducer.begin({.contributors = std::min(ranks.size(), parts - round * ranks.size()),
                           .first = round == 0,
                           .last = round + 1 == rounds});
            if (part < parts) {
              reducer.watch(model.tape);
              model.gradients(part);
            }
            reducer.finish(model.tape);
          }
          EXPECT_EQ(model.store.gradients().to_vector<double>(), expected_sum(parts));
        }
      });
    }
  }
}

TEST(GradientReducer, ScatteredSumsAreGathered) {
  on_ranks(3, [](Communicator& ranks) {
    Model model;
    ReducerOptions options = small;
    options.scatter = true;
    GradientReducer reducer(model.store, ranks, options);
    reducer.begin({.contributors = 3});
    reducer.watch(model.tape);
    model.gradients(ranks.rank());
    reducer.finish(model.tape);
    const std::vector<double> expected = expected_sum(3);
    const double* gradients = model.store.gradients().data<double>();
    std::vector<double> packed;
    for (const SlabRange& range : reducer.own_ranges()) {
      for (int64_t i = range.begin; i < range.end; ++i) {
        EXPECT_EQ(gradients[i], expected[static_cast<size_t>(i)]);
        packed.push_back(gradients[i]);
      }
    }
    const Tensor whole = reducer.gather_packed(Tensor::from({std::ssize(packed)}, packed));
    EXPECT_EQ(static_cast<bool>(whole), ranks.is_root());
    if (whole) {
      EXPECT_EQ(whole.to_vector<double>(), expected);
    }
    reducer.gather(model.store.gradients());
    EXPECT_EQ(model.store.gradients().to_vector<double>(), expected);
  });
}

TEST(GradientReducer, StartsWhileTheBackwardPassRuns) {
  on_ranks(2, [](Communicator& ranks) {
    Model model;
    GradientReducer reducer(model.store, ranks, small);
    for (int step = 0; step < 2; ++step) {
      reducer.begin({.contributors = 2});
      reducer.watch(model.tape);
      model.gradients(1.0);
      // The first pass is learned from.
      EXPECT_EQ(reducer.started(), step == 0 ? 0 : 5);
      reducer.finish(model.tape);
    }
  });
}

TEST(GradientReducer, AnotherModelIsRefused) {
  std::string message;
  try {
    on_ranks(2, [](Communicator& ranks) {
      Model model;
      GradientReducer reducer(model.store, ranks, small);
      for (const bool again : {false, true}) {
        reducer.begin({.contributors = 2});
        reducer.watch(model.tape);
        model.store.start_gradients();
        model.tape.backward(model.loss(1.0, again));
        reducer.finish(model.tape);
      }
    });
  } catch (const Error& error) {
    message = error.what();
  }
  EXPECT_THAT(message, ::testing::HasSubstr("writes the gradient of a once more"));
  EXPECT_THAT(message, ::testing::HasSubstr("needs overlap to be off"));
}

}  // namespace
}  // namespace folio
