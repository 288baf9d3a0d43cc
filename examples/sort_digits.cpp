// An encoder-decoder that learns to sort digits. The encoder reads all digits at once; the decoder
// writes them one after the other, and attends to the encoder's output.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <random>
#include <vector>

#include "folio/autograd/ops.h"
#include "folio/kernels/spinning.h"
#include "folio/layers/attention.h"
#include "folio/layers/embedding.h"
#include "folio/layers/feed_forward.h"
#include "folio/layers/layer_norm.h"
#include "folio/layers/linear.h"
#include "folio/layers/positions.h"
#include "folio/optim/optimizer.h"
using namespace folio;

constexpr int64_t digits = 6, width = 48, heads = 4;
constexpr int32_t start = 10;  // begins every answer

struct Sorter {
  Embedding embedding;
  PositionalEncoding positions;
  LayerNorm encoder_norm, self_norm, cross_norm, feed_forward_norm, final_norm;
  SelfAttention encoder, self;
  CrossAttention cross;
  FeedForward feed_forward;
  Linear output;

  explicit Sorter(const Scope& scope)
      : embedding(scope / "embedding", 11, width),
        positions(scope / "positions", Positions::learned, digits, width),
        encoder_norm(scope / "encoder_norm", width, true),
        self_norm(scope / "self_norm", width, true),
        cross_norm(scope / "cross_norm", width, true),
        feed_forward_norm(scope / "feed_forward_norm", width, true),
        final_norm(scope / "final_norm", width, true),
        encoder(scope / "encoder", {.width = width, .heads = heads, .causal = false}),
        self(scope / "self", {.width = width, .heads = heads}),
        cross(scope / "cross", {.width = width, .heads = heads}),
        feed_forward(scope / "feed_forward", width, 4 * width, true, Activation::gelu),
        output(scope / "output", width, 10, true) {}

  Variable embed(Tape& tape, const Tensor& tokens) const {
    const Variable table = embedding.weight->variable();
    return folio::embedding(tape, tokens, table, positions(table.value));
  }
  /// source (B, digits), answer (B, digits), which begins with `start`: logits (B, digits, 10).
  Variable operator()(Tape& tape, const Tensor& source, const Tensor& answer) const {
    Variable memory = embed(tape, source);
    memory = add(tape, memory, encoder(tape, encoder_norm(tape, memory)));
    const Variable keys_values = cross.keys_values(tape, memory);
    Variable x = embed(tape, answer);
    x = add(tape, x, self(tape, self_norm(tape, x)));
    x = add(tape, x, cross(tape, cross_norm(tape, x), keys_values));
    x = add(tape, x, feed_forward(tape, feed_forward_norm(tape, x)));
    return output(tape, final_norm(tape, x));
  }
};

struct Samples {
  std::vector<int32_t> source, answer, target;
};

Samples draw(std::mt19937& random, int64_t count) {
  Samples all;
  for (int64_t i = 0; i < count; ++i) {
    std::vector<int32_t> number(digits);
    for (int32_t& digit : number) digit = static_cast<int32_t>(random() % 10);
    all.source.insert(all.source.end(), number.begin(), number.end());
    std::ranges::sort(number);
    all.target.insert(all.target.end(), number.begin(), number.end());
    all.answer.push_back(start);
    all.answer.insert(all.answer.end(), number.begin(), number.end() - 1);
  }
  return all;
}

int main(int, char** argv) {
  shorten_spinning(argv);
  ParameterStore parameters;
  const Sorter model{Scope(parameters)};
  parameters.initialize(/*seed=*/1);
  Optimizer optimizer(parameters, {});
  Tape tape;
  std::mt19937 random(1);
  const int64_t B = 64;
  const Shape shape{B, digits};
  for (int64_t step = 0; step < 600; ++step) {
    const Samples e = draw(random, B);
    const Variable logits =
        model(tape, Tensor::from(shape, e.source), Tensor::from(shape, e.answer));
    const Variable loss = cross_entropy(tape, logits, Tensor::from(shape, e.target));
    if (step % 100 == 0) std::printf("step %3d: loss %.3f\n", int(step), loss.value.item());
    tape.backward(loss);
    tape.clear();
    optimizer.step(step, /*lr=*/3e-3);
  }

  // Greedy decoding of new numbers, digit by digit.
  const NoRecording no_recording(tape);
  const Samples e = draw(random, B);
  std::vector<int32_t> written(B * digits, start), result(B * digits);
  for (int64_t t = 0; t < digits; ++t) {
    const std::vector<float> logits =
        model(tape, Tensor::from(shape, e.source), Tensor::from(shape, written))
            .value.to_vector<float>();
    for (int64_t b = 0; b < B; ++b) {
      const auto row = logits.begin() + (b * digits + t) * 10;
      result[b * digits + t] = static_cast<int32_t>(std::max_element(row, row + 10) - row);
      if (t + 1 < digits) written[b * digits + t + 1] = result[b * digits + t];
    }
  }
  int64_t right = 0;
  for (size_t i = 0; i < result.size(); ++i) right += result[i] == e.target[i];
  std::printf("%d of %d digits are right\n", int(right), int(B * digits));
}
