// BERT: it sees both directions, leaves padding out, and has right gradients.
#include "folio/models/bert.h"

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

constexpr int64_t classes = 9, length = 5;
constexpr BertConfig small{
    .vocabulary = classes, .layers = 2, .heads = 2, .width = 8, .context = length, .dropout = 0.0};

struct BertTest : testing::Test {
  BertTest() {
    store.initialize(1);
    randomize(store, 1, 0.5);
  }
  std::vector<double> hidden(const Batch& batch) {
    const NoRecording no_recording(tape);
    return values_of(model.hidden(tape, batch).value);
  }
  ParameterStore store{DType::f64};
  Bert model{Scope(store), small};
  Tape tape;
};

TEST_F(BertTest, EveryPositionSeesEveryOther) {
  const Tensor tokens = Tensor::from<int32_t>({1, length}, {1, 2, 3, 4, 5});
  const std::vector<double> before = hidden({{{"tokens", tokens}}});
  for (const int64_t changed : {int64_t{0}, length - 1}) {
    std::vector<int32_t> other = tokens.to_vector<int32_t>();
    other[changed] = classes;  // the mask
    const std::vector<double> after = hidden({{{"tokens", Tensor::from({1, length}, other)}}});
    for (int64_t i = 0; i < length; ++i) {
      EXPECT_NE(before[i * 8], after[i * 8]) << "position " << i << ", changed " << changed;
    }
  }
}

TEST_F(BertTest, PaddingIsNotSeen) {
  const Tensor mask = Tensor::from<int32_t>({1, length}, {1, 1, 1, 0, 0});
  const std::vector<double> one =
      hidden({{{"tokens", Tensor::from<int32_t>({1, length}, {1, 2, 3, 0, 0})}, {"mask", mask}}});
  const std::vector<double> two =
      hidden({{{"tokens", Tensor::from<int32_t>({1, length}, {1, 2, 3, 7, 8})}, {"mask", mask}}});
  for (int64_t i = 0; i < 3 * 8; ++i) EXPECT_EQ(one[i], two[i]);
}

TEST_F(BertTest, Gradients) {
  const Tensor tokens = random_indices({2, length}, 3, classes + 1);
  const Tensor targets = Tensor::from<int32_t>({2, length}, {-1, 4, -1, -1, 0, 8, -1, -1, 2, -1});
  expect_passed(check_gradients(
      store,
      [&](Tape& t) {
        return cross_entropy(t, model.forward(t, {{{"tokens", tokens}}}), targets);
      },
      tape));
}

TEST_F(BertTest, ALongerInputIsRefused) {
  EXPECT_THAT(error_of([&] {
                model.forward(tape, {{{"tokens", random_indices({1, length + 1}, 1, classes)}}});
              }),
              HasSubstr("T at most the context, 5"));
}

}  // namespace
}  // namespace folio
