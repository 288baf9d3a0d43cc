// Single ops against PyTorch's values and gradients.
#include <fmt/core.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "folio/autograd/ops.h"
#include "support/golden.h"

namespace folio {
namespace {

struct UnaryCase {
  const char* name;
  Variable (*op)(Tape&, const Variable&);
};

class GoldenOps : public testing::TestWithParam<DType> {
 protected:
  /// Input `name` of an entry, as a leaf.
  Variable leaf(const nlohmann::json& entry, const std::string& name) {
    const Shape shape = shape_from(entry.at(name + "_shape"));
    return tape.leaf(tensor_of(shape, numbers_from(entry.at(name)), GetParam()));
  }

  /// Compares the output, sends the entry's gradient back and compares the inputs' gradients.
  void compare(const nlohmann::json& entry, const std::string& output, const Variable& y,
               const std::vector<std::pair<std::string, Variable>>& inputs) {
    const double tolerance = golden_tolerance(GetParam());
    expect_close(values_of(y.value), numbers_from(entry.at(output)), tolerance, output);
    const std::vector<double> dy = numbers_from(entry.at("d" + output));
    const Variable arriving{tensor_of(y.shape(), dy, GetParam())};
    tape.backward(sum(tape, multiply(tape, y, arriving)));
    for (const auto& [name, x] : inputs) {
      expect_close(values_of(tape.gradient(x)), numbers_from(entry.at("d" + name)), tolerance,
                   "d" + name);
    }
  }

  nlohmann::json golden = read_golden("ops.json");
  Tape tape;
};

TEST_P(GoldenOps, GeluAndSoftmax) {
  const UnaryCase cases[] = {{"gelu_erf", gelu},
                             {"gelu_tanh", gelu_tanh},
                             {"softmax", softmax},
                             {"log_softmax", log_softmax}};
  for (const UnaryCase& c : cases) {
    SCOPED_TRACE(c.name);
    const nlohmann::json& entry = golden.at(c.name);
    const Variable x = leaf(entry, "x");
    compare(entry, "y", c.op(tape, x), {{"x", x}});
  }
}

TEST_P(GoldenOps, LayerNorm) {
  for (bool with_bias : {false, true}) {
    const std::string name = with_bias ? "layer_norm_with_bias" : "layer_norm_without_bias";
    SCOPED_TRACE(name);
    const nlohmann::json& entry = golden.at(name);
    const double eps = entry.at("eps").get<double>();
    const Variable x = leaf(entry, "x"), gain = leaf(entry, "weight");
    if (with_bias) {
      const Variable bias = leaf(entry, "bias");
      compare(entry, "y", layer_norm(tape, x, gain, bias, eps),
              {{"x", x}, {"weight", gain}, {"bias", bias}});
    } else {
      compare(entry, "y", layer_norm(tape, x, gain, std::nullopt, eps),
              {{"x", x}, {"weight", gain}});
    }
  }
}

TEST_P(GoldenOps, CrossEntropy) {
  for (const char* name : {"cross_entropy", "cross_entropy_smoothed"}) {
    SCOPED_TRACE(name);
    const nlohmann::json& entry = golden.at(name);
    const auto targets = entry.at("targets").get<std::vector<int32_t>>();
    const LossOptions options{.label_smoothing = entry.at("label_smoothing").get<double>(),
                              .ignored_index = entry.at("ignored_target").get<int32_t>()};
    const Variable logits = leaf(entry, "logits");
    const Variable loss =
        cross_entropy(tape, logits, Tensor::from(logits.shape().without_last(), targets), options);
    compare(entry, "loss", loss, {{"logits", logits}});
  }
}

TEST_P(GoldenOps, Attention) {
  for (const char* name : {"attention_key_mask", "attention_causal"}) {
    SCOPED_TRACE(name);
    const nlohmann::json& entry = golden.at(name);
    const Variable q = leaf(entry, "q"), k = leaf(entry, "k"), v = leaf(entry, "v");
    // The file has the heads apart, (B, H, T, d); the op has them side by side, (B, T, H d).
    const int64_t heads = q.dim(1), columns = heads * q.dim(3);
    const auto side_by_side = [&](const Variable& x) {
      return reshape(tape, permute(tape, x, {0, 2, 1, 3}), {x.dim(0), x.dim(2), columns});
    };
    AttentionOptions options{.heads = heads, .causal = entry.at("causal").get<bool>()};
    if (entry.contains("key_mask")) {
      const auto mask = entry.at("key_mask").get<std::vector<int32_t>>();
      options.key_mask = Tensor::from({q.dim(0), k.dim(2)}, mask);
    }
    const Variable y = attention(tape, side_by_side(q), side_by_side(k), side_by_side(v), options);
    const Shape apart{q.dim(0), q.dim(2), heads, q.dim(3)};
    compare(entry, "y", permute(tape, reshape(tape, y, apart), {0, 2, 1, 3}),
            {{"q", q}, {"k", k}, {"v", v}});
  }
}

INSTANTIATE_TEST_SUITE_P(Types, GoldenOps, testing::Values(DType::f32, DType::f64),
                         [](const auto& info) { return std::string(name_of(info.param)); });

}  // namespace
}  // namespace folio
