// Matrix products: matmul with every flag, linear with and without bias and activation.
#include <fmt/core.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <optional>
#include <vector>

#include "folio/autograd/ops.h"
#include "support/gradcheck.h"
#include "support/temporary.h"

namespace folio {
namespace {

using testing::AllOf;
using testing::HasSubstr;

/// The shape with its last two axes exchanged if asked.
Shape exchanged(const Shape& shape, bool exchange) {
  return exchange ? shape.with(-1, shape[-2]).with(-2, shape[-1]) : shape;
}

/// op(a) op(b) by its definition. b may lack a's leading dimensions.
std::vector<double> product(const Tensor& a, bool transpose_a, const Tensor& b, bool transpose_b) {
  const Shape sa = exchanged(a.shape(), transpose_a), sb = exchanged(b.shape(), transpose_b);
  const int64_t m = sa[-2], inner = sa[-1], n = sb[-1], batch = a.numel() / (m * inner);
  const std::vector<double> va = values_of(a), vb = values_of(b);
  const bool shared = b.numel() == inner * n;
  std::vector<double> result;
  for (int64_t s = 0; s < batch; ++s) {
    const double* pa = va.data() + s * m * inner;
    const double* pb = vb.data() + (shared ? 0 : s * inner * n);
    for (int64_t i = 0; i < m; ++i) {
      for (int64_t j = 0; j < n; ++j) {
        double total = 0.0;
        for (int64_t k = 0; k < inner; ++k) {
          total += (transpose_a ? pa[k * m + i] : pa[i * inner + k]) *
                   (transpose_b ? pb[j * inner + k] : pb[k * n + j]);
        }
        result.push_back(total);
      }
    }
  }
  return result;
}

struct Case {
  Shape a, b;  // as they are multiplied, before any exchange
};

const Case separate[] = {
    {{1, 1}, {1, 1}},
    {{3, 5}, {5, 2}},
    {{1, 7}, {7, 3}},
    {{4, 1}, {1, 5}},
    {{17, 9}, {9, 11}},
    {{2, 3, 5}, {2, 5, 4}},
    {{3, 1, 4}, {3, 4, 1}},
    {{2, 3, 2, 5}, {2, 3, 5, 3}},
    {{1, 2, 3, 1}, {1, 2, 1, 3}},
};
const Case shared_b[] = {
    {{2, 3, 5}, {5, 4}},
    {{1, 3, 5}, {5, 1}},
    {{2, 2, 3, 5}, {5, 7}},
};

void check_matmul(const Case& c, bool transpose_a, bool transpose_b) {
  SCOPED_TRACE(fmt::format("{}{} {}{}", c.a.to_string(), transpose_a ? "^T" : "", c.b.to_string(),
                           transpose_b ? "^T" : ""));
  const Tensor a = random_tensor(exchanged(c.a, transpose_a), 1);
  const Tensor b = random_tensor(exchanged(c.b, transpose_b), 2);
  Tape tape;
  const Variable y = matmul(tape, {a}, {b}, transpose_a, transpose_b);
  EXPECT_EQ(y.shape(), c.a.with(-1, c.b[-1]));
  expect_close(values_of(y.value), product(a, transpose_a, b, transpose_b), 1e-14, "value", 1.0);
  expect_gradients({a, b}, [&](Tape& t, const auto& x) {
    return matmul(t, x[0], x[1], transpose_a, transpose_b);
  });
}

TEST(Matmul, EveryTransposition) {
  for (const Case& c : separate) {
    for (bool transpose_a : {false, true}) {
      for (bool transpose_b : {false, true}) check_matmul(c, transpose_a, transpose_b);
    }
  }
}

TEST(Matmul, OneMatrixServesAllSamples) {
  for (const Case& c : shared_b) {
    for (bool transpose_b : {false, true}) check_matmul(c, false, transpose_b);
  }
}

TEST(Matmul, BothSidesTheSameVariable) {
  for (const Shape& shape : {Shape{4, 4}, Shape{1, 1}, Shape{2, 3, 3}}) {
    for (bool transpose_a : {false, true}) {
      for (bool transpose_b : {false, true}) {
        SCOPED_TRACE(fmt::format("{} {} {}", shape.to_string(), transpose_a, transpose_b));
        expect_gradients({random_tensor(shape, 3)}, [&](Tape& tape, const auto& x) {
          return matmul(tape, x[0], x[0], transpose_a, transpose_b);
        });
      }
    }
  }
}

TEST(Matmul, OneParameterOnTwoPaths) {
  expect_gradients({random_tensor({3, 5}, 4), random_tensor({5, 5}, 5)},
                   [](Tape& tape, const auto& x) {
                     const Variable once = tanh(tape, matmul(tape, x[0], x[1]));
                     return matmul(tape, once, x[1], false, true);
                   });
}

TEST(Matmul, ErrorsNameBothShapes) {
  Tape tape;
  const auto variable = [](const Shape& shape) { return Variable{random_tensor(shape, 6)}; };
  const auto error = [&](const Shape& a, const Shape& b, bool ta = false, bool tb = false) {
    return error_of([&] { matmul(tape, variable(a), variable(b), ta, tb); });
  };
  const auto names = [](const char* a, const char* b) {
    return AllOf(HasSubstr("matmul: "), HasSubstr(a), HasSubstr(b));
  };
  EXPECT_THAT(error({2, 3}, {4, 5}), AllOf(names("(2, 3)", "(4, 5)"), HasSubstr("3 and 4")));
  EXPECT_THAT(error({2, 3}, {3, 5}, true), names("(2, 3) transposed", "(3, 5)"));
  EXPECT_THAT(error({2, 3}, {3, 5}, false, true), names("(2, 3)", "(3, 5) transposed"));
  EXPECT_THAT(error({3}, {3, 5}), names("(3)", "(3, 5)"));
  EXPECT_THAT(error({2, 3}, {3}), names("(2, 3)", "(3)"));
  EXPECT_THAT(error({2, 3}, {2, 3, 5}), names("(2, 3)", "(2, 3, 5)"));
  EXPECT_THAT(error({2, 4, 3}, {5, 3, 4}), names("(2, 4, 3)", "(5, 3, 4)"));
  EXPECT_THAT(error({2, 2, 4, 3}, {2, 3, 4}), names("(2, 2, 4, 3)", "(2, 3, 4)"));
  EXPECT_THAT(error({2, 3, 4}, {3, 4}, true), names("(2, 3, 4)", "(3, 4)"));
  const Variable single{tensor_of({3, 1}, {1, 2, 3}, DType::f32)};
  EXPECT_THAT(error_of([&] {
                matmul(tape, variable({2, 3}), single);
              }),
              AllOf(HasSubstr("matmul: "), HasSubstr("f32 (3, 1)"), HasSubstr("wanted f64")));
}

const Activation activations[] = {Activation::none, Activation::relu, Activation::gelu,
                                  Activation::gelu_tanh};

Variable activate(Tape& tape, const Variable& z, Activation activation) {
  switch (activation) {
    case Activation::none:
      return z;
    case Activation::relu:
      return relu(tape, z);
    case Activation::gelu:
      return gelu(tape, z);
    case Activation::gelu_tanh:
      return gelu_tanh(tape, z);
  }
  return z;
}

struct LinearCase {
  Shape x;
  int64_t outputs;
};

const LinearCase linear_cases[] = {{{5}, 3},       {{1, 1}, 1},       {{3, 5}, 4},  {{2, 3, 7}, 5},
                                   {{2, 1, 9}, 1}, {{2, 2, 3, 5}, 2}, {{13, 6}, 19}};

TEST(Linear, GradientsWithEveryFlag) {
  for (const LinearCase& c : linear_cases) {
    for (Activation activation : activations) {
      SCOPED_TRACE(fmt::format("{} to {}, activation {}", c.x.to_string(), c.outputs,
                               static_cast<int>(activation)));
      const Tensor x = random_tensor(c.x, 7), bias = random_tensor({c.outputs}, 9);
      const Tensor weight = random_tensor({c.outputs, c.x.columns()}, 8);
      expect_gradients({x, weight, bias}, [&](Tape& tape, const auto& v) {
        return linear(tape, v[0], v[1], v[2], activation);
      });
      expect_gradients({x, weight}, [&](Tape& tape, const auto& v) {
        return linear(tape, v[0], v[1], std::nullopt, activation);
      });
    }
  }
}

TEST(Linear, EqualsItsParts) {
  const Tensor x = random_tensor({2, 3, 7}, 10), weight = random_tensor({5, 7}, 11);
  for (Activation activation : activations) {
    expect_same_function(
        {x, weight, random_tensor({5}, 12)},
        [&](Tape& tape, const auto& v) { return linear(tape, v[0], v[1], v[2], activation); },
        [&](Tape& tape, const auto& v) {
          const Variable z = add(tape, matmul(tape, v[0], v[1], false, true), v[2]);
          return activate(tape, z, activation);
        });
  }
}

TEST(Linear, OneWeightTwice) {
  expect_gradients({random_tensor({3, 5}, 13), random_tensor({5, 5}, 14), random_tensor({5}, 15)},
                   [](Tape& tape, const auto& v) {
                     const Variable once = linear(tape, v[0], v[1], v[2], Activation::gelu);
                     return linear(tape, once, v[1], v[2]);
                   });
}

TEST(Linear, WithoutRecordingTheValueIsTheSame) {
  const Variable x{random_tensor({3, 5}, 16)}, weight{random_tensor({4, 5}, 17)};
  for (Activation activation : activations) {
    Tape tape;
    const std::vector<double> recorded =
        values_of(linear(tape, tape.leaf(x.value), weight, std::nullopt, activation).value);
    NoRecording pause(tape);
    EXPECT_EQ(values_of(linear(tape, x, weight, std::nullopt, activation).value), recorded);
  }
}

TEST(Linear, ErrorsNameBothShapes) {
  Tape tape;
  const Variable x{random_tensor({2, 5}, 18)}, weight{random_tensor({3, 5}, 19)};
  const auto error = [&](const Variable& input, const Variable& w,
                         const std::optional<Variable>& bias = std::nullopt) {
    return error_of([&] { linear(tape, input, w, bias); });
  };
  EXPECT_THAT(error({random_tensor({2, 4}, 20)}, weight),
              AllOf(HasSubstr("linear: "), HasSubstr("(2, 4)"), HasSubstr("(3, 5)")));
  EXPECT_THAT(error(x, {random_tensor({5}, 21)}),
              AllOf(HasSubstr("linear: "), HasSubstr("(2, 5)"), HasSubstr("(5)")));
  EXPECT_THAT(error({random_tensor({}, 22)}, {random_tensor({3, 1}, 23)}),
              AllOf(HasSubstr("linear: "), HasSubstr("()"), HasSubstr("(3, 1)")));
  const Variable long_bias{random_tensor({4}, 24)}, single{tensor_of({3}, {1, 2, 3}, DType::f32)};
  EXPECT_THAT(error(x, weight, long_bias),
              AllOf(HasSubstr("linear: bias"), HasSubstr("(4)"), HasSubstr("wanted (3)")));
  EXPECT_THAT(error(x, weight, single),
              AllOf(HasSubstr("linear: bias"), HasSubstr("f32 (3)"), HasSubstr("wanted f64")));
}

}  // namespace
}  // namespace folio
