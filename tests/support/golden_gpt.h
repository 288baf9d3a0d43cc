// The tiny GPTs of tests/golden/tiny_gpt.json, with the weights that PyTorch had.
#pragma once

#include <cmath>
#include <cstdint>
#include <map>
#include <string>

#include "folio/models/gpt.h"
#include "support/golden.h"

namespace folio {

inline GptConfig config_from(const nlohmann::json& model) {
  const std::map<std::string, Activation> activations = {
      {"relu", Activation::relu}, {"gelu", Activation::gelu}, {"gelu_tanh", Activation::gelu_tanh}};
  const bool learned = model.at("positions") == "learned";
  return {.vocabulary = model.at("vocab").get<int64_t>(),
          .layers = model.at("layers").get<int64_t>(),
          .heads = model.at("heads").get<int64_t>(),
          .width = model.at("width").get<int64_t>(),
          .context = model.at("context").get<int64_t>(),
          .dropout = 0.0,
          .bias = model.at("bias").get<bool>(),
          .norm = model.at("norm") == "pre" ? Norm::pre : Norm::post,
          .positions = learned ? Positions::learned : Positions::sinusoidal,
          .activation = activations.at(model.at("activation").get<std::string>()),
          .tied = model.at("tied").get<bool>()};
}

/// One case of the file, ready to run.
struct GoldenGpt {
  const nlohmann::json& entry;
  ParameterStore store;
  Gpt model;
  Tensor inputs, targets;

  GoldenGpt(const nlohmann::json& file, const nlohmann::json& entry, DType dtype)
      : entry(entry),
        store(dtype),
        model(Scope(store), config_from(entry.at("model"))),
        inputs(tokens_from(file.at("inputs"))),
        targets(tokens_from(file.at("targets"))) {
    store.initialize(0);
    set_weights(file.at("weights").at("element_phase").get<double>());
  }

  /// Whether an element has no gradient in theory: that of a key's bias adds the same to all scores
  /// of a query. What rounding makes of it depends on the order of operations.
  bool is_key_bias(const std::string& name, size_t element) const {
    const auto width = static_cast<size_t>(model.config().width);
    return name.ends_with("attention.qkv.bias") && element >= width && element < 2 * width;
  }

 private:
  /// The file's formulas: parameter k, in the file's order, element j.
  void set_weights(double element_phase) {
    double k = 0.0;
    for (const auto& parameter : entry.at("parameters")) {
      const auto name = parameter.at("name").get<std::string>();
      const Tensor& value = store.find(name).value;
      for (int64_t j = 0; j < value.numel(); ++j) {
        const double x = static_cast<double>(j);
        const double number = name.ends_with("norm.weight")
                                  ? 1.0 + 0.1 * std::sin(0.9 * x + k)
                                  : 0.25 * std::sin(element_phase * x + 1.3 * k + 0.5);
        if (store.dtype() == DType::f64) {
          value.data<double>()[j] = number;
        } else {
          value.data<float>()[j] = static_cast<float>(number);
        }
      }
      k += 1.0;
    }
  }
};

}  // namespace folio
