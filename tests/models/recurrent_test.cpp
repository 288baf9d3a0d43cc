// The recurrent language model: reading position by position, and what it needs of its config.
#include "folio/models/recurrent.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <vector>

#include "folio/autograd/ops.h"
#include "support/gradcheck.h"
#include "support/temporary.h"

namespace folio {
namespace {

using testing::HasSubstr;

constexpr int64_t classes = 7;

struct LstmModelTest : testing::TestWithParam<bool> {
  LstmModelTest() {
    store.initialize(1);
    randomize(store, 1, 0.6);
  }
  static LstmConfig config() {
    return {.vocabulary = classes, .layers = 2, .width = 6, .context = 4, .tied = GetParam()};
  }
  ParameterStore store{DType::f64};
  LstmModel model{Scope(store), config()};
  Tape tape;
};

TEST_P(LstmModelTest, NextGivesTheLogitsOfReadingEverythingAtOnce) {
  const Tensor tokens = random_indices({2, 9}, 3, classes);  // longer than the context
  const NoRecording no_recording(tape);
  const std::vector<double> all = values_of(model.forward(tape, {{{"tokens", tokens}}}).value);
  DecoderState state = model.begin({}, 2);
  const std::vector<int32_t> values = tokens.to_vector<int32_t>();
  int64_t read = 0;
  for (const int64_t piece : {3, 1, 5}) {
    std::vector<int32_t> part;
    for (int64_t b = 0; b < 2; ++b) {
      const auto row = values.begin() + b * 9 + read;
      part.insert(part.end(), row, row + piece);
    }
    const Variable logits = model.next(tape, Tensor::from({2, piece}, part), state);
    read += piece;
    EXPECT_EQ(state.length, read);
    std::vector<double> wanted;
    for (int64_t b = 0; b < 2; ++b) {
      const auto row = all.begin() + (b * 9 + read - 1) * classes;
      wanted.insert(wanted.end(), row, row + classes);
    }
    expect_close(values_of(logits.value), wanted, 1e-13, "logits");
  }
}

TEST_P(LstmModelTest, Gradients) {
  const Tensor tokens = random_indices({2, 4}, 5, classes),
               targets = random_indices({2, 4}, 6, classes);
  expect_passed(check_gradients(
      store,
      [&](Tape& t) {
        return cross_entropy(t, model.forward(t, {{{"tokens", tokens}}}), targets);
      },
      tape));
}

TEST_P(LstmModelTest, AStateIsNoMatterForARecordingTape) {
  DecoderState state = model.begin({}, 1);
  EXPECT_THAT(error_of([&] {
                model.next(tape, random_indices({1, 1}, 1, classes), state);
              }),
              HasSubstr("the tape is recording"));
}

INSTANTIATE_TEST_SUITE_P(Tied, LstmModelTest, testing::Bool(),
                         [](const auto& info) { return info.param ? "tied" : "untied"; });

}  // namespace
}  // namespace folio
