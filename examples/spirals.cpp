// A multi-layer perceptron that separates two spirals. This is the shortest complete training loop:
// parameters, layers, a loss, an optimizer.
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <vector>

#include "folio/autograd/ops.h"
#include "folio/kernels/spinning.h"
#include "folio/layers/linear.h"
#include "folio/optim/optimizer.h"
using namespace folio;

struct Mlp {
  Linear first, second, last;

  explicit Mlp(const Scope& scope)
      : first(scope / "first", 2, 64, true, Init::he(2), Activation::relu),
        second(scope / "second", 64, 64, true, Init::he(64), Activation::relu),
        last(scope / "last", 64, 2, true, Init::glorot(64, 2)) {}

  /// Points (N, 2) to logits (N, 2).
  Variable operator()(Tape& tape, const Variable& points) const {
    return last(tape, second(tape, first(tape, points)));
  }
};

int main(int, char** argv) {
  shorten_spinning(argv);
  const int64_t n = 400;  // points, half of them on each spiral
  std::vector<float> coordinates;
  std::vector<int32_t> classes;
  for (int64_t i = 0; i < n; ++i) {
    const int32_t spiral = static_cast<int32_t>(i % 2);
    const double turn = 0.5 + 3.0 * static_cast<double>(i) / n;  // in units of pi
    const double angle = M_PI * (turn + spiral);
    coordinates.push_back(static_cast<float>(turn / 3.5 * std::cos(angle)));
    coordinates.push_back(static_cast<float>(turn / 3.5 * std::sin(angle)));
    classes.push_back(spiral);
  }
  const Variable points{Tensor::from({n, 2}, coordinates)};
  const Tensor targets = Tensor::from({n}, classes);

  ParameterStore parameters;
  const Mlp model{Scope(parameters)};
  parameters.initialize(/*seed=*/1);
  Optimizer optimizer(parameters, {.weight_decay = 0.0});
  Tape tape;
  for (int64_t step = 0; step < 500; ++step) {
    const Variable loss = cross_entropy(tape, model(tape, points), targets);
    if (step % 100 == 0) std::printf("step %3d: loss %.3f\n", int(step), loss.value.item());
    tape.backward(loss);
    tape.clear();
    optimizer.step(step, /*lr=*/1e-2);
  }

  const NoRecording no_recording(tape);
  const std::vector<float> logits = model(tape, points).value.to_vector<float>();
  int64_t right = 0;
  for (int64_t i = 0; i < n; ++i) {
    right += (logits[2 * i + 1] > logits[2 * i]) == (classes[i] == 1);
  }
  std::printf("accuracy %.3f\n", static_cast<double>(right) / n);
}
