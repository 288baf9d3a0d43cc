// The gradient of a whole two-layer GPT, every parameter, with dropout and label smoothing on.
#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <vector>

#include "folio/models/gpt.h"
#include "support/gradcheck.h"

namespace folio {
namespace {

struct Case {
  const char* name;
  GptConfig config;
};

constexpr GptConfig base{
    .vocabulary = 11, .layers = 2, .heads = 2, .width = 8, .context = 6, .dropout = 0.2};

GptConfig pre_learned_tied() { return base; }

GptConfig pre_untied_with_bias() {
  GptConfig config = base;
  config.bias = true;
  config.tied = false;
  config.activation = Activation::gelu_tanh;
  return config;
}

GptConfig post_sinusoidal_relu() {
  GptConfig config = base;
  config.bias = true;
  config.norm = Norm::post;
  config.positions = Positions::sinusoidal;
  config.activation = Activation::relu;
  return config;
}

class GptGradient : public testing::TestWithParam<Case> {
 protected:
  GptGradient() { targets.data<int32_t>()[3] = -1; }  // one that does not count

  const GptConfig& config() const { return GetParam().config; }
  const Tensor tokens = random_indices({2, 5}, 1, 11);  // shorter than the context
  const Tensor targets = random_indices({2, 5}, 2, 11);
};

TEST_P(GptGradient, AgreesWithDifferences) {
  ParameterStore store(DType::f64);
  const Gpt model(Scope(store), config());
  store.initialize(3);
  expect_parameter_gradients(
      store, [&](Tape& tape) { return model.loss(tape, tokens, targets, 0.1); }, {.step = 1.5e-5});
}

TEST_P(GptGradient, F32AgreesWithF64) {
  std::vector<std::vector<double>> gradients[2];
  std::vector<double> losses;
  std::vector<std::string> names;
  for (DType dtype : {DType::f64, DType::f32}) {
    ParameterStore store(dtype);
    const Gpt model(Scope(store), config());
    store.initialize(3);
    randomize(store, 4, 0.5);
    Tape tape;
    tape.set_training(true);
    store.start_gradients();
    const Variable loss = model.loss(tape, tokens, targets, 0.1);
    losses.push_back(loss.value.item());
    tape.backward(loss);
    store.finish_gradients();
    for (const Parameter& parameter : store.parameters()) {
      if (dtype == DType::f64) names.push_back(parameter.name);
      gradients[dtype == DType::f32].push_back(values_of(parameter.grad));
    }
  }
  EXPECT_NEAR(losses[1] / losses[0], 1.0, 1e-5);
  for (size_t i = 0; i < names.size(); ++i) {
    expect_close(gradients[1][i], gradients[0][i], 1e-4, names[i]);
  }
}

TEST_P(GptGradient, HalvesOfABatchAddUpToTheWhole) {
  ParameterStore store(DType::f64);
  const Gpt model(Scope(store), config());
  store.initialize(3);
  randomize(store, 4, 0.5);
  Tape tape;
  tape.set_training(true);
  const auto gradients = [&](int64_t parts) {
    store.start_gradients();
    for (int64_t i = 0; i < parts; ++i) {
      const int64_t samples = 2 / parts;
      tape.set_context({.seed = 8, .step = 1, .first_sample = i * samples});
      const Shape shape{samples, 5};
      tape.backward(model.loss(tape, tokens.view(i * 5, shape), targets.view(i * 5, shape), 0.1,
                               /*valid_targets=*/9));
      tape.clear();
    }
    store.finish_gradients();
    return values_of(store.gradients());
  };
  expect_close(gradients(2), gradients(1), 1e-13, "gradients");
}

INSTANTIATE_TEST_SUITE_P(Configs, GptGradient,
                         testing::Values(Case{"pre_learned_tied", pre_learned_tied()},
                                         Case{"pre_untied_with_bias", pre_untied_with_bias()},
                                         Case{"post_sinusoidal_relu", post_sinusoidal_relu()}),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace folio
