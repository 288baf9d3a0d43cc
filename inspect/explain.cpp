#include "folio/inspect/explain.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "folio/autograd/observer.h"
#include "folio/io/utf8.h"
#include "folio/tensor/error.h"

namespace folio {
namespace {

std::vector<float> as_floats(const Tensor& tensor) {
  if (tensor.dtype() == DType::f32) return tensor.to_vector<float>();
  FOLIO_CHECK(tensor.dtype() == DType::f64, "explain", "values are {}; wanted f32 or f64",
              tensor.describe());
  const std::vector<double> wide = tensor.to_vector<double>();
  return {wide.begin(), wide.end()};
}

/// Recomputes the probabilities of each attention op from its queries and keys.
class AttentionObserver : public TapeObserver {
 public:
  void attention(const ObservedAttention& op) override {
    // Self-attention has queries and keys in one tensor. Attention to another sequence has no map
    // of the prompt.
    if (op.queries.raw() != op.keys.raw()) return;
    const int64_t queries = op.queries.dim(1), keys = op.keys.dim(1);
    const int64_t q_width = op.queries.dim(2), k_width = op.keys.dim(2);
    const std::vector<float> q_values = as_floats(op.queries), k_values = as_floats(op.keys);
    std::vector<int32_t> key_mask;
    if (op.key_mask) key_mask = op.key_mask.to_vector<int32_t>();
    for (int64_t head = 0; head < op.heads; ++head) {
      AttentionMap map{layer_, head, std::vector<float>(static_cast<size_t>(queries * keys))};
      for (int64_t i = 0; i < queries; ++i) {
        const float* q = &q_values[i * q_width + op.first_query_column + head * op.head_dim];
        fill_row(std::span(map.probabilities).subspan(i * keys, keys), [&](int64_t j) {
          const bool hidden = !key_mask.empty() && key_mask[j] == 0;
          if (hidden || (op.causal && j > i)) return -std::numeric_limits<double>::infinity();
          const float* k = &k_values[j * k_width + op.first_key_column + head * op.head_dim];
          return std::inner_product(q, q + op.head_dim, k, 0.0) * op.scale;
        });
      }
      maps.push_back(std::move(map));
    }
    ++layer_;
  }

  std::vector<AttentionMap> maps;

 private:
  /// row = the softmax of score(0), score(1), ..., of which -inf is a position that is not seen; 0
  /// if none is seen.
  static void fill_row(std::span<float> row, const auto& score) {
    std::vector<double> scores(row.size());
    for (size_t j = 0; j < row.size(); ++j) scores[j] = score(static_cast<int64_t>(j));
    const double largest = *std::ranges::max_element(scores);
    if (std::isinf(largest)) return;
    double sum = 0.0;
    for (double& value : scores) sum += value = std::exp(value - largest);
    for (size_t j = 0; j < row.size(); ++j) row[j] = static_cast<float>(scores[j] / sum);
  }

  int64_t layer_ = 0;
};

std::vector<double> probabilities(std::span<const float> logits, double temperature) {
  const auto largest = std::ranges::max_element(logits);
  std::vector<double> result(logits.size(), 0.0);
  if (temperature == 0.0) {
    result[static_cast<size_t>(largest - logits.begin())] = 1.0;
    return result;
  }
  double sum = 0.0;
  for (size_t i = 0; i < logits.size(); ++i) {
    sum += result[i] = std::exp((double(logits[i]) - double(*largest)) / temperature);
  }
  for (double& value : result) value /= sum;
  return result;
}

/// The text of a token; bytes of incomplete characters as in "<E2><80>".
std::string shown(const Tokenizer& tokenizer, int32_t token) {
  const std::string text = tokenizer.decode({&token, 1});
  if (repaired_utf8(text) == text) return text;
  std::string bytes;
  for (const char byte : text) bytes += fmt::format("<{:02X}>", static_cast<uint8_t>(byte));
  return bytes;
}

}  // namespace

Explanation explain(const LanguageModel& model, const Tokenizer& tokenizer, std::string_view prompt,
                    double temperature, int64_t candidates) {
  FOLIO_CHECK(std::isfinite(temperature) && temperature >= 0.0, "explain",
              "the temperature is {}; it must be at least 0", temperature);
  std::vector<int32_t> tokens = tokenizer.encode(prompt, "--prompt");
  FOLIO_CHECK(!tokens.empty(), "--prompt", "is empty; give the text to explain");
  Explanation result;
  const int64_t most =
      model.context() == 0 ? most_explained : std::min(model.context(), most_explained);
  result.tokens_left_out = std::max<int64_t>(0, std::ssize(tokens) - most);
  tokens.erase(tokens.begin(), tokens.begin() + result.tokens_left_out);
  const auto length = static_cast<int64_t>(tokens.size());
  const Tensor input({1, length}, DType::i32);
  std::ranges::copy(tokens, input.data<int32_t>());

  Tape tape(model.device());
  const NoRecording no_recording(tape);
  AttentionObserver observer;
  tape.set_observer(&observer);
  const std::vector<float> logits =
      as_floats(model.forward(tape, {{{"tokens", input}}}).value);  // (1, T, V)
  tape.set_observer(nullptr);
  result.maps = std::move(observer.maps);

  const int64_t vocabulary = model.vocabulary();
  for (int64_t position = 0; position < length; ++position) {
    result.tokens.push_back(shown(tokenizer, tokens[position]));
    const std::span<const float> row(&logits[position * vocabulary], vocabulary);
    const std::vector<double> plain = probabilities(row, 1.0);
    const std::vector<double> sampled = probabilities(row, temperature);
    const auto candidate = [&](int32_t token) {
      return ExpectedToken{token, shown(tokenizer, token), plain[token], sampled[token]};
    };
    std::vector<int32_t> order(static_cast<size_t>(vocabulary));
    std::iota(order.begin(), order.end(), 0);
    std::ranges::stable_sort(order, [&](int32_t a, int32_t b) { return row[a] > row[b]; });
    order.resize(static_cast<size_t>(std::min(candidates, vocabulary)));
    result.expected.emplace_back();
    for (const int32_t token : order) result.expected.back().push_back(candidate(token));
    if (position + 1 < length) result.came.push_back(candidate(tokens[position + 1]));
  }
  return result;
}

}  // namespace folio
