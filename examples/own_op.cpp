// An op of your own: swish(x) = x / (1 + exp(-x)) (Ramachandran et al. 2017, arXiv:1710.05941),
// with its arithmetic, its backward pass and its gradient check.
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <utility>
#include <vector>

#include "folio/autograd/gradient_check.h"
#include "folio/autograd/ops.h"
#include "folio/tensor/error.h"
using namespace folio;

double sigmoid_of(double x) { return 1.0 / (1.0 + std::exp(-x)); }

/// The arithmetic, for f32 and f64 on the CPU: f(i) for every element i.
template <class T, class Function>
void fill(const Tensor& y, bool accumulate, Function f) {
  T* const values = y.data<T>();
  for (int64_t i = 0; i < y.numel(); ++i) {
    values[i] = static_cast<T>((accumulate ? values[i] : T(0)) + f(i));
  }
}

Variable swish(Tape& tape, const Variable& x) {
  const DType type = x.value.dtype();
  FOLIO_CHECK(type == DType::f32 || type == DType::f64, "swish", "x is {}; wanted f32 or f64",
              x.value.describe());
  const auto run = [type](const auto& f) { return type == DType::f32 ? f(float()) : f(double()); };
  const Variable y = tape.output_like(x);
  run([&]<class T>(T) {
    const T* const in = x.value.data<T>();
    fill<T>(y.value, false, [in](int64_t i) { return in[i] * sigmoid_of(in[i]); });
  });
  // The closure captures what the backward pass needs, and nothing else stays alive.
  tape.record("swish", y, [run, x = x.value, dx = x.slot, dy = y.slot](Tape& t) {
    const GradTarget target = t.grad_of(dx);  // to overwrite, or to add to
    const Tensor& gradient = t.grad(dy);
    run([&]<class T>(T) {
      const T *const in = x.data<T>(), *const above = gradient.data<T>();
      fill<T>(*target.tensor, target.accumulate, [in, above](int64_t i) {
        const double s = sigmoid_of(in[i]);
        return above[i] * (s + in[i] * s * (1.0 - s));
      });
    });
  });
  return y;
}

int main() {
  Tape tape;
  const Tensor x = Tensor::from({2, 3}, std::vector<double>{-3.0, -1.0, -0.1, 0.0, 0.5, 4.0});
  const auto rows = check_gradients(
      {x}, [](Tape& t, const std::vector<Variable>& in) { return sum(t, swish(t, in[0])); }, tape);
  std::printf("swish(4) = %.6f\n", swish(tape, {x}).value.to_vector<double>().back());
  std::printf("gradient check: largest relative error %.1e, %s\n", rows[0].max_relative_error,
              rows[0].passed ? "passed" : "FAILED");
  return rows[0].passed ? 0 : 1;
}
