// Reading position by position beside reading everything at once.
#include "folio/models/decoder_state.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <vector>

#include "folio/models/gpt.h"
#include "support/gradcheck.h"
#include "support/temporary.h"

namespace folio {
namespace {

using testing::HasSubstr;

constexpr GptConfig small{.vocabulary = 11, .layers = 2, .heads = 2, .width = 8, .context = 6};

struct Written {
  ParameterStore store;
  Gpt gpt;

  explicit Written(const GptConfig& config, DType dtype = DType::f32)
      : store(dtype), gpt(Scope(store), config) {
    store.initialize(1);
    randomize(store, 1, 0.5);
  }
};

/// Columns [first, first + count) of tokens (B, T).
Tensor columns(const Tensor& tokens, int64_t first, int64_t count) {
  std::vector<int32_t> values;
  for (int64_t b = 0; b < tokens.dim(0); ++b) {
    const int32_t* row = tokens.data<int32_t>() + b * tokens.dim(1) + first;
    values.insert(values.end(), row, row + count);
  }
  return Tensor::from({tokens.dim(0), count}, values);
}

TEST(DecoderState, LogitsAreThoseOfReadingEverythingAtOnce) {
  constexpr int64_t batch = 2, length = 6, classes = 11;
  const Tensor tokens = random_indices({batch, length}, 4, classes);
  for (const DType dtype : {DType::f32, DType::f64}) {
    for (int flags = 0; flags < 16; ++flags) {
      SCOPED_TRACE(testing::Message() << name_of(dtype) << " flags " << flags);
      GptConfig config = small;
      config.bias = (flags & 1) != 0;
      config.norm = (flags & 2) != 0 ? Norm::post : Norm::pre;
      config.positions = (flags & 4) != 0 ? Positions::sinusoidal : Positions::learned;
      config.tied = (flags & 8) != 0;
      const Written model(config, dtype);
      Tape tape;
      const NoRecording no_recording(tape);
      const std::vector<double> all = values_of(model.gpt.logits(tape, tokens).value);
      DecoderState state = model.gpt.begin({}, batch);
      EXPECT_EQ(state.texts(), batch);
      EXPECT_EQ(state.length, 0);
      int64_t read = 0;
      for (const int64_t piece : {2, 1, 1, 2}) {
        const Variable logits = model.gpt.next(tape, columns(tokens, read, piece), state);
        read += piece;
        EXPECT_EQ(state.length, read);
        ASSERT_EQ(logits.shape(), Shape({batch, 1, classes}));
        std::vector<double> wanted;
        for (int64_t b = 0; b < batch; ++b) {
          const auto row = all.begin() + (b * length + read - 1) * classes;
          wanted.insert(wanted.end(), row, row + classes);
        }
        expect_close(values_of(logits.value), wanted, dtype == DType::f32 ? 1e-5 : 1e-13, "logits");
      }
    }
  }
}

TEST(DecoderState, TextsMayBeginOneByOne) {
  const Written model(small);
  const Tensor tokens = random_indices({2, 5}, 4, 11);
  Tape tape;
  const NoRecording no_recording(tape);
  DecoderState both = model.gpt.begin({}, 2);
  model.gpt.next(tape, columns(tokens, 0, 4), both);
  const std::vector<double> wanted =
      values_of(model.gpt.next(tape, columns(tokens, 4, 1), both).value);

  DecoderState other = model.gpt.begin({}, 2);
  for (const int64_t text : {1, 0}) {
    DecoderState one = other.part(text);
    EXPECT_EQ(one.texts(), 1);
    EXPECT_EQ(one.length, 0);
    const std::vector<int32_t> all = tokens.to_vector<int32_t>();
    const auto row = all.begin() + text * 5;
    model.gpt.next(tape, Tensor::from({1, 4}, std::vector<int32_t>(row, row + 4)), one);
  }
  other.length = 4;
  const std::vector<double> seen =
      values_of(model.gpt.next(tape, columns(tokens, 4, 1), other).value);
  expect_close(seen, wanted, 1e-5, "logits");
}

// Of any shapes, as recurrent models have.
TEST(DecoderState, PartsShareTheMemory) {
  DecoderState state;
  state.tensors = {random_tensor({3, 2, 4}, 1), random_indices({3}, 2, 9)};
  state.length = 5;
  for (int64_t i = 0; i < 3; ++i) {
    const DecoderState part = state.part(i);
    EXPECT_EQ(part.length, 0);
    EXPECT_EQ(part.texts(), 1);
    ASSERT_EQ(part.tensors.size(), 2u);
    EXPECT_EQ(part.tensors[0].shape(), Shape({1, 2, 4}));
    EXPECT_EQ(part.tensors[0].data<double>(), state.tensors[0].data<double>() + i * 8);
    EXPECT_EQ(part.tensors[1].shape(), Shape({1}));
    EXPECT_EQ(part.tensors[1].data<int32_t>(), state.tensors[1].data<int32_t>() + i);
  }
}

TEST(DecoderState, RefusesMoreThanTheContextAndARecordingTape) {
  const Written model(small);
  Tape tape;
  DecoderState state = model.gpt.begin({}, 1);
  EXPECT_THAT(error_of([&] {
                model.gpt.next(tape, random_indices({1, 1}, 4, 11), state);
              }),
              HasSubstr("cached_attention: the tape is recording"));
  const NoRecording no_recording(tape);
  state.length = 5;
  EXPECT_THAT(error_of([&] {
                model.gpt.next(tape, random_indices({1, 2}, 4, 11), state);
              }),
              HasSubstr("the context, 6, less 5 cached"));
  EXPECT_THAT(error_of([&] {
                model.gpt.next(tape, random_indices({2, 1}, 4, 11), state);
              }),
              HasSubstr("cache is f32 (1, 6, 16); wanted (2, at least 6, 16)"));
}

}  // namespace
}  // namespace folio
