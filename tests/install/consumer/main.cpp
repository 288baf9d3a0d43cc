// A model of one's own, on Folio's layers and ops: reads a text, learns which character comes next.
#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

#include "folio/autograd/ops.h"
#include "folio/data/token_batches.h"
#include "folio/data/tokenizer.h"
#include "folio/io/files.h"
#include "folio/kernels/spinning.h"
#include "folio/layers/attention.h"
#include "folio/layers/embedding.h"
#include "folio/optim/optimizer.h"
using namespace folio;

int main(int argc, char** argv) {
  shorten_spinning(argv);
  if (argc != 2) return std::fprintf(stderr, "usage: %s TEXT\n", argv[0]), 2;
  const std::string text = read_file(argv[1]);
  const auto tokenizer = CharTokenizer::build(text, UnknownCharacter::error, argv[1]);
  const std::vector<int32_t> tokens = tokenizer->encode(text, argv[1]);
  const int64_t B = 32, T = 16, C = 64, V = tokenizer->vocabulary();
  const BatchSampler sampler(tokens, B, T, Sampling::random, /*seed=*/1);
  ParameterStore parameters;
  const Scope model(parameters);
  const Embedding embedding(model / "embedding", V, C);
  const SelfAttention attention(model / "attention", {.width = C, .heads = 4});
  const Linear output(model / "output", C, V, /*with_bias=*/true);
  parameters.initialize(/*seed=*/1);
  Optimizer optimizer(parameters, {});
  Tape tape;
  for (int step = 0; step <= 300; ++step) {
    const Batch batch = sampler.draw(step, 0, B);
    const Variable x = embedding(tape, batch["tokens"]);  // (B, T, C)
    const Variable y = add(tape, x, attention(tape, x));
    const Variable loss = cross_entropy(tape, output(tape, y), batch["targets"]);
    if (step % 100 == 0) std::printf("step %d: loss %.2f\n", step, loss.value.item());
    tape.backward(loss);
    tape.clear();
    optimizer.step(step, /*lr=*/3e-3);
  }
}
