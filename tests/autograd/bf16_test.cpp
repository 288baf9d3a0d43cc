// Parameters in bf16: ops see a rounded copy, gradients come out in f32.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "folio/autograd/ops.h"
#include "folio/autograd/parameters.h"
#include "folio/kernels/kernels.h"
#include "support/gradcheck.h"

namespace folio {
namespace {

/// Two parameters (6, 8) and two vectors (8), of values that bf16 represents.
struct Parameters {
  ParameterStore store;
  Variable a, b, gain, bias;

  explicit Parameters(DType dtype) : store(dtype) {
    Scope scope(store);
    Parameter* made[] = {&scope.parameter("a", {6, 8}, Init::uniform(1.0)),
                         &scope.parameter("b", {6, 8}, Init::uniform(1.0)),
                         &scope.parameter("gain", {8}, Init::uniform(1.0)),
                         &scope.parameter("bias", {8}, Init::uniform(1.0))};
    store.initialize(1);
    for (Parameter* parameter : made) {
      const Tensor coarse = tensor_of(parameter->shape, values_of(parameter->master), DType::bf16);
      const Tensor masters = tensor_of(parameter->shape, values_of(coarse), accumulator_of(dtype));
      kernels_for(Device::cpu).copy({&parameter->master, false}, masters);
    }
    store.masters_changed();
    a = made[0]->variable();
    b = made[1]->variable();
    gain = made[2]->variable();
    bias = made[3]->variable();
  }
};

using OfParameters = std::function<Variable(Tape&, const Parameters&)>;

std::vector<double> gradients(DType dtype, const OfParameters& function, int times) {
  Parameters parameters(dtype);
  Tape tape;
  tape.set_training(true);
  parameters.store.start_gradients();
  for (int i = 0; i < times; ++i) {
    tape.set_context({});  // the same masks
    tape.backward(weighted_sum(tape, function(tape, parameters)));
    tape.clear();
  }
  parameters.store.finish_gradients();
  EXPECT_EQ(parameters.store.gradients().dtype(), accumulator_of(dtype));
  return values_of(parameters.store.gradients());
}

TEST(Bf16Parameters, EveryOpGivesThemGradientsInF32) {
  const Tensor indices = Tensor::from<int32_t>({2, 3}, {0, 5, 2, 2, 1, 5});
  const std::vector<std::pair<const char*, OfParameters>> functions = {
      {"add", [](Tape& t, const Parameters& p) { return add(t, p.a, p.b); }},
      {"add a vector", [](Tape& t, const Parameters& p) { return add(t, p.a, p.bias); }},
      {"subtract", [](Tape& t, const Parameters& p) { return subtract(t, p.a, p.b); }},
      {"multiply", [](Tape& t, const Parameters& p) { return multiply(t, p.a, p.gain); }},
      {"multiply by a number", [](Tape& t, const Parameters& p) { return multiply(t, p.a, 0.3); }},
      {"tanh", [](Tape& t, const Parameters& p) { return tanh(t, p.a); }},
      {"gelu", [](Tape& t, const Parameters& p) { return gelu(t, p.a); }},
      {"dropout", [](Tape& t, const Parameters& p) { return dropout(t, p.a, 0.3, 1); }},
      {"sum_last", [](Tape& t, const Parameters& p) { return sum_last(t, p.a); }},
      {"softmax", [](Tape& t, const Parameters& p) { return softmax(t, p.a); }},
      {"log_softmax", [](Tape& t, const Parameters& p) { return log_softmax(t, p.a); }},
      {"transpose", [](Tape& t, const Parameters& p) { return transpose(t, p.a); }},
      {"reshape",
       [](Tape& t, const Parameters& p) {
         return reshape(t, p.a, {4, 12});
       }},
      {"slice", [](Tape& t, const Parameters& p) { return slice(t, p.a, 0, 1, 3); }},
      {"concat",
       [](Tape& t, const Parameters& p) {
         return concat(t, {p.a, p.b}, 1);
       }},
      {"gather_rows", [&](Tape& t, const Parameters& p) { return gather_rows(t, p.a, indices); }},
      {"embedding", [&](Tape& t, const Parameters& p) { return embedding(t, indices, p.a, p.b); }},
      {"matmul", [](Tape& t, const Parameters& p) { return matmul(t, p.a, p.b, false, true); }},
      {"linear",
       [](Tape& t, const Parameters& p) {
         return linear(t, p.a, reshape(t, slice(t, p.b, 0, 0, 4), {4, 8}), std::nullopt);
       }},
      {"linear with bias",
       [](Tape& t, const Parameters& p) {
         const Variable bias = slice(t, p.bias, 0, 0, 6);
         return linear(t, p.a, p.b, bias, Activation::gelu);
       }},
      {"layer_norm",
       [](Tape& t, const Parameters& p) { return layer_norm(t, p.a, p.gain, p.bias); }},
      {"residual_dropout_layer_norm",
       [](Tape& t, const Parameters& p) {
         return residual_dropout_layer_norm(t, p.a, p.b, 0.2, 1, p.gain, p.bias).normalized;
       }},
      {"attention",
       [](Tape& t, const Parameters& p) {
         const Variable q = reshape(t, p.a, {2, 3, 8});
         return attention(t, q, reshape(t, p.b, {2, 3, 8}), q, {.heads = 2, .causal = true});
       }},
      {"cross_entropy",
       [&](Tape& t, const Parameters& p) {
         return cross_entropy(t, p.a, indices.reshape({6}), {.label_smoothing = 0.1});
       }},
  };
  for (const auto& [name, function] : functions) {
    SCOPED_TRACE(name);
    // Twice: the second backward pass accumulates.
    expect_close(gradients(DType::bf16, function, 2), gradients(DType::f64, function, 2), 3e-2,
                 name);
  }
}

TEST(Bf16Parameters, GradientsOfWeightsAreNotRounded) {
  // Of 1 + 2^-9 bf16 keeps 1.
  Parameters parameters(DType::bf16);
  Tape tape;
  const Tensor x = tensor_of({2, 8}, std::vector<double>(16, 1.0), DType::bf16);
  const Tensor dy = tensor_of(
      {2, 6},
      [] {
        std::vector<double> values(12, 1.0);
        std::fill(values.begin() + 6, values.end(), 0x1p-9);
        return values;
      }(),
      DType::bf16);
  const Variable y = linear(tape, {x}, parameters.a, std::nullopt);
  tape.backward(sum(tape, multiply(tape, y, Variable{dy})));
  for (const double g : values_of(tape.gradient(parameters.a))) EXPECT_EQ(g, 1.0 + 0x1p-9);
}

TEST(Bf16Parameters, TheCopyFollowsTheMasters) {
  ParameterStore store(DType::bf16);
  Scope(store).parameter("weight", {300, 7}, Init::normal(1.0));
  Scope(store).parameter("gain", {7}, Init::normal(1.0));
  store.initialize(3);
  EXPECT_EQ(store.dtype(), DType::bf16);
  EXPECT_EQ(store.values().dtype(), DType::f32);
  const auto expect_rounded = [&] {
    for (const Parameter& parameter : store.parameters()) {
      ASSERT_EQ(parameter.value.dtype(), DType::bf16);
      const std::vector<float> masters = parameter.master.to_vector<float>();
      const std::vector<bf16> copies = parameter.value.to_vector<bf16>();
      for (size_t i = 0; i < masters.size(); ++i) {
        ASSERT_EQ(copies[i].bits(), bf16(masters[i]).bits()) << parameter.name;
      }
    }
  };
  expect_rounded();
  for (float& value : std::span(store.values().data<float>(), static_cast<size_t>(store.numel()))) {
    value *= 1.7f;
  }
  store.masters_changed();
  expect_rounded();
}

TEST(Bf16Parameters, InOtherTypesThereIsNoCopy) {
  ParameterStore store;
  Parameter& weight = Scope(store).parameter("weight", {3}, Init::ones());
  store.initialize(3);
  EXPECT_FALSE(store.rounded_values());
  EXPECT_EQ(weight.value.raw(), weight.master.raw());
}

}  // namespace
}  // namespace folio
