// Data-parallel training: every rank computes the gradients of its part of a batch, and a reducer
// sums them while the backward pass still runs. Start it alone, or with mpirun -np 4.
#include <cstdint>
#include <cstdio>
#include <exception>
#include <random>
#include <vector>

#include "folio/autograd/ops.h"
#include "folio/comm/gradient_reducer.h"
#include "folio/comm/launch.h"
#include "folio/kernels/spinning.h"
#include "folio/layers/linear.h"
#include "folio/optim/optimizer.h"
using namespace folio;

void train(Communicator& ranks) {
  ParameterStore parameters;
  const Scope model(parameters);
  const Linear first(model / "first", 8, 32, true, Init::he(8), Activation::relu);
  const Linear last(model / "last", 32, 1, true, Init::glorot(32, 1));
  parameters.initialize(/*seed=*/1);  // the same values on every rank
  Optimizer optimizer(parameters, {.weight_decay = 0.0});
  GradientReducer reducer(parameters, ranks, {});
  Tape tape;
  const int64_t batch = 64, from = batch * ranks.rank() / ranks.size(),
                to = batch * (ranks.rank() + 1) / ranks.size();
  for (int64_t step = 0; step <= 200; ++step) {
    // Every rank draws the whole batch and keeps its part: the batch does not depend on the number
    // of ranks.
    std::mt19937 random(static_cast<uint32_t>(step));
    std::normal_distribution<float> normal;
    std::vector<float> inputs, targets;
    for (int64_t i = 0; i < batch; ++i) {
      float sum = 0.0F;
      for (int64_t j = 0; j < 8; ++j) {
        const float x = normal(random);
        if (i >= from && i < to) inputs.push_back(x);
        sum += x;
      }
      if (i >= from && i < to) targets.push_back(sum);
    }
    const Variable x{Tensor::from({to - from, 8}, inputs)};
    const Variable y{Tensor::from({to - from, 1}, targets)};
    const Variable error = subtract(tape, last(tape, first(tape, x)), y);
    // Each rank's loss is its share of the whole batch's, so the gradients add up.
    const Variable loss = multiply(tape, sum(tape, multiply(tape, error, error)), 1.0 / batch);
    reducer.begin({.contributors = ranks.size()});
    reducer.watch(tape);
    tape.backward(loss);
    reducer.finish(tape);
    tape.clear();
    optimizer.step(step, /*lr=*/1e-2);
    ranks.all_reduce(loss.value.reshape({1}));
    if (step % 100 == 0 && ranks.is_root()) {
      std::printf("%d ranks, step %3d: loss %.4f\n", ranks.size(), int(step), loss.value.item());
    }
  }
}

int main(int, char** argv) {
  shorten_spinning(argv);
  try {
    train(join_ranks());
  } catch (const std::exception& error) {
    return leave_ranks(error.what(), 1);  // ends the other ranks too
  }
  return leave_ranks();
}
