// A recurrent network of one's own, on Folio's ops and layers: reads a text, learns its characters.
#include <cstdio>

#include "folio/autograd/ops.h"
#include "folio/data/batches.h"
#include "folio/data/corpus.h"
#include "folio/layers/embedding.h"
#include "folio/layers/linear.h"
#include "folio/optim/optimizer.h"

using namespace folio;

int main(int, char** argv) {
  const std::string text = read_file(argv[1]);
  const auto tokenizer = CharTokenizer::build(text, UnknownCharacter::error, argv[1]);
  const std::vector<int32_t> tokens = tokenizer->encode(text, argv[1]);
  const int64_t B = 32, T = 16, C = 64, V = tokenizer->vocabulary();
  const BatchSampler sampler(tokens, B, T, Sampling::random, /*seed=*/1);

  ParameterStore parameters;
  Scope model(parameters);
  Embedding embedding(model / "embedding", V, C);
  Linear recur(model / "recur", 2 * C, C, /*with_bias=*/true, Init::normal(0.1));
  Linear output(model / "output", C, V, /*with_bias=*/true);
  parameters.initialize(/*seed=*/1);
  Optimizer optimizer(parameters, {});

  Tape tape;
  for (int step = 0; step <= 300; ++step) {
    const Batch batch = sampler.draw(step, 0, B);
    const Variable x = embedding(tape, batch.inputs);                          // (B, T, C)
    Variable h{Tensor::from({B, 1, C}, std::vector<float>(B * C))};            // zeros
    std::vector<Variable> states;
    for (int64_t t = 0; t < T; ++t) {
      h = tanh(tape, recur(tape, concat(tape, {slice(tape, x, 1, t, 1), h}, 2)));
      states.push_back(h);
    }
    const Variable logits = output(tape, concat(tape, states, 1));             // (B, T, V)
    const Variable loss = cross_entropy(tape, logits, batch.targets);
    if (step % 100 == 0) std::printf("step %d: loss %.2f\n", step, loss.value.item());
    tape.backward(loss);
    tape.clear();
    optimizer.step(/*lr=*/3e-3);
  }
}
