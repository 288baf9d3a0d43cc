// Low-rank adaptation (Hu et al. 2021, arXiv:2106.09685): a network that was trained and saved is
// loaded again, frozen, and adapted to another task by small matrices beside its weights.
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "folio/autograd/ops.h"
#include "folio/kernels/spinning.h"
#include "folio/layers/linear.h"
#include "folio/optim/optimizer.h"
#include "folio/optim/saved_parameters.h"
using namespace folio;

/// A linear layer, and beside it (x A^T) B^T of rank 2. B begins with zeros, so that nothing
/// changes at first.
struct LoraLinear {
  Linear base;
  std::unique_ptr<Linear> a, b;

  LoraLinear(const Scope& scope, int64_t inputs, int64_t outputs, bool adapted)
      : base(scope, inputs, outputs, true, Init::glorot(inputs, outputs)) {
    if (!adapted) return;
    base.weight->trained = base.bias->trained = false;  // frozen: no gradient, no moments, no decay
    a = std::make_unique<Linear>(scope / "lora_a", inputs, 2, false, Init::normal(0.1));
    b = std::make_unique<Linear>(scope / "lora_b", 2, outputs, false, Init::zeros());
  }
  Variable operator()(Tape& tape, const Variable& x) const {
    const Variable y = base(tape, x);
    return a ? add(tape, y, (*b)(tape, (*a)(tape, x))) : y;
  }
};

/// y(x), a scalar function of a scalar.
struct Net {
  ParameterStore parameters;
  LoraLinear first, second, last;

  explicit Net(bool adapted)
      : first(Scope(parameters) / "first", 1, 32, adapted),
        second(Scope(parameters) / "second", 32, 32, adapted),
        last(Scope(parameters) / "last", 32, 1, adapted) {
    parameters.initialize(/*seed=*/1);
  }
  Variable operator()(Tape& tape, const Variable& x) const {
    return last(tape, tanh(tape, second(tape, tanh(tape, first(tape, x)))));
  }
};

/// The mean squared error of the net beside f on [-2, 2], after `steps` steps.
double fit(Net& net, double (*f)(double), int64_t steps) {
  const int64_t n = 128;
  std::vector<float> xs, ys;
  for (int64_t i = 0; i < n; ++i) {
    xs.push_back(static_cast<float>(-2.0 + 4.0 * static_cast<double>(i) / (n - 1)));
    ys.push_back(static_cast<float>(f(xs.back())));
  }
  const Variable x{Tensor::from({n, 1}, xs)}, y{Tensor::from({n, 1}, ys)};
  Optimizer optimizer(net.parameters, {.weight_decay = 0.0});
  Tape tape;
  double loss_now = 0.0;
  for (int64_t step = 0; step <= steps; ++step) {
    const Variable error = subtract(tape, net(tape, x), y);
    const Variable loss = mean(tape, multiply(tape, error, error));
    loss_now = loss.value.item();
    if (step == steps) break;
    tape.backward(loss);
    tape.clear();
    optimizer.step(step, /*lr=*/1e-2);
  }
  return loss_now;
}

int main(int argc, char** argv) {
  shorten_spinning(argv);
  const std::string file = argc > 1 ? argv[1] : "base.safetensors";
  {
    Net base(/*adapted=*/false);
    std::printf("base on sin(x):            error %.4f\n",
                fit(
                    base, [](double x) { return std::sin(x); }, 500));
    save(file, base.parameters);
  }
  Net net(/*adapted=*/true);
  const LoadResult loaded = load(file, net.parameters, nullptr, {.strict = false});
  std::printf("%d parameters of the adapter are new; %d of %d numbers are trained\n",
              int(loaded.missing.size()), int(net.parameters.trained_numel()),
              int(net.parameters.numel()));
  const auto task = [](double x) { return std::sin(x) + 0.5 * x; };
  std::printf("on sin(x) + x/2, before:   error %.4f\n", fit(net, task, 0));
  std::printf("on sin(x) + x/2, adapted:  error %.4f\n", fit(net, task, 500));
}
