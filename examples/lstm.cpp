// An LSTM that learns a text character by character, with a state that is carried from batch to
// batch (truncated backpropagation through time): detach() cuts the graph between them.
#include "folio/layers/lstm.h"

#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

#include "folio/autograd/ops.h"
#include "folio/data/tokenizer.h"
#include "folio/io/files.h"
#include "folio/kernels/spinning.h"
#include "folio/layers/embedding.h"
#include "folio/layers/linear.h"
#include "folio/optim/optimizer.h"
using namespace folio;

int main(int argc, char** argv) {
  shorten_spinning(argv);
  if (argc != 2) return std::fprintf(stderr, "usage: %s TEXT\n", argv[0]), 2;
  const std::string text = read_file(argv[1]);
  const auto tokenizer = CharTokenizer::build(text, UnknownCharacter::error, argv[1]);
  const std::vector<int32_t> tokens = tokenizer->encode(text, argv[1]);
  const int64_t B = 16, T = 32, C = 64, V = tokenizer->vocabulary();

  ParameterStore parameters;
  const Scope model(parameters);
  const Embedding embedding(model / "embedding", V, C);
  const Lstm lstm(model / "lstm", C, C);
  const Linear output(model / "output", C, V, /*with_bias=*/true);
  parameters.initialize(/*seed=*/1);
  Optimizer optimizer(parameters, {});
  Tape tape;

  // The text is cut into B streams. Row b of every batch continues row b of the one before.
  const int64_t stream = (static_cast<int64_t>(tokens.size()) - 1) / B;
  LstmState state;  // empty: zeros
  for (int64_t step = 0; step <= 300; ++step) {
    const int64_t begin = step * T % (stream - T + 1) / T * T;
    if (begin == 0) state = {};
    std::vector<int32_t> inputs, targets;
    for (int64_t b = 0; b < B; ++b) {
      const auto first = tokens.begin() + b * stream + begin;
      inputs.insert(inputs.end(), first, first + T);
      targets.insert(targets.end(), first + 1, first + T + 1);
    }
    state = {state.h.detach(), state.c.detach()};
    const Variable x = embedding(tape, Tensor::from({B, T}, inputs));
    const Variable logits = output(tape, lstm(tape, x, state));
    const Variable loss = cross_entropy(tape, logits, Tensor::from({B, T}, targets));
    if (step % 100 == 0) std::printf("step %3d: loss %.3f\n", int(step), loss.value.item());
    tape.backward(loss);
    tape.clear();
    optimizer.step(step, /*lr=*/1e-2);
  }
}
