#include "folio/train/sampling.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <numeric>

#include "folio/tensor/error.h"
#include "folio/tensor/random.h"

namespace folio {
namespace {

void check_options(const SamplingOptions& options) {
  FOLIO_CHECK(options.max_tokens >= 0, "sampling", "max_tokens is {}; it must be at least 0",
              options.max_tokens);
  FOLIO_CHECK(std::isfinite(options.temperature) && options.temperature >= 0.0, "sampling",
              "the temperature is {}; it must be at least 0 (0 takes the most likely token)",
              options.temperature);
  FOLIO_CHECK(options.top_k >= 0, "sampling", "top_k is {}; it must be at least 0 (0 allows all)",
              options.top_k);
  FOLIO_CHECK(options.top_p > 0.0 && options.top_p <= 1.0, "sampling",
              "top_p is {}; it must be above 0 and at most 1 (1 allows all)", options.top_p);
}

/// How many bytes at the end of `text` begin a UTF-8 character that is not complete yet.
size_t unfinished_bytes(std::string_view text) {
  const size_t longest = std::min<size_t>(text.size(), 3);
  for (size_t n = 1; n <= longest; ++n) {
    const auto byte = static_cast<uint8_t>(text[text.size() - n]);
    if ((byte & 0xC0u) == 0x80u) continue;  // a continuation: its lead comes before
    const size_t length = byte >= 0xF0u ? 4 : byte >= 0xE0u ? 3 : byte >= 0xC0u ? 2 : 1;
    return length > n ? n : 0;
  }
  return 0;
}

/// What an empty prompt stands for.
int32_t first_token(const Tokenizer& tokenizer) {
  try {
    const std::vector<int32_t> newline = tokenizer.encode("\n", "prompt");
    if (newline.size() == 1 && tokenizer.decode(newline) == "\n") return newline.front();
  } catch (const Error&) {  // a text without line breaks
  }
  return 0;
}

/// Logits of the token after `tokens`, f32 (V).
std::vector<float> next_logits(const Gpt& model, Tape& tape, std::span<const int32_t> tokens) {
  const int64_t context = model.config().context;
  const int64_t length = std::min(std::ssize(tokens), context);
  const auto window = tokens.last(static_cast<size_t>(length));
  // Padded on the right, which a causal model cannot see, to a few different lengths: blocks of
  // the pool are filed by size, and a new size at each token would fill it.
  const auto padded = std::min<int64_t>(
      context, std::max<int64_t>(16, std::bit_ceil(static_cast<uint64_t>(length))));
  const Tensor input({1, padded}, DType::i32);
  std::fill_n(std::copy_n(window.begin(), length, input.data<int32_t>()), padded - length, 0);
  const Tensor logits = model.last_logits(tape, input, length).value;
  if (logits.dtype() == DType::f32) return logits.to_vector<float>();
  const std::vector<double> wide = logits.to_vector<double>();
  return {wide.begin(), wide.end()};
}

}  // namespace

int32_t choose_token(std::span<const float> logits, const SamplingOptions& options,
                     double uniform) {
  check_options(options);
  FOLIO_CHECK(!logits.empty(), "sampling", "there are no logits to choose from");
  FOLIO_CHECK(uniform >= 0.0 && uniform < 1.0, "sampling",
              "the random number is {}; it must be at least 0 and below 1", uniform);
  for (size_t i = 0; i < logits.size(); ++i) {
    FOLIO_CHECK(std::isfinite(logits[i]), "sampling",
                "the logit of token {} is {}; the model is broken (did its training diverge?)", i,
                logits[i]);
  }
  const auto largest = std::max_element(logits.begin(), logits.end());  // the first of equals
  if (options.temperature == 0.0) return static_cast<int32_t>(largest - logits.begin());

  // The most likely first; of equals the lower token.
  std::vector<int32_t> order(logits.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](int32_t a, int32_t b) { return logits[a] > logits[b]; });
  if (options.top_k > 0 && options.top_k < std::ssize(order)) order.resize(options.top_k);

  std::vector<double> weights;
  double total = 0.0;
  for (int32_t token : order) {
    const double difference = static_cast<double>(logits[token]) - static_cast<double>(*largest);
    weights.push_back(std::exp(difference / options.temperature));
    total += weights.back();
  }
  if (options.top_p < 1.0) {
    size_t kept = 0;
    double reached = 0.0;
    while (kept < weights.size() && reached < options.top_p * total) reached += weights[kept++];
    weights.resize(kept);
    total = reached;
  }
  double left = uniform * total;
  for (size_t i = 0; i < weights.size(); ++i) {
    left -= weights[i];
    if (left < 0.0) return order[i];
  }
  return order[weights.size() - 1];  // rounding left a little over
}

std::string generate(const Gpt& model, const Tokenizer& tokenizer, std::string_view prompt,
                     const SamplingOptions& options,
                     const std::function<void(std::string_view)>& emit) {
  check_options(options);
  FOLIO_CHECK(tokenizer.vocabulary() == model.config().vocabulary, "sampling",
              "the tokenizer has {} tokens but the model {}; they must come from one run",
              tokenizer.vocabulary(), model.config().vocabulary);
  std::vector<int32_t> tokens = tokenizer.encode(prompt, "prompt");
  if (tokens.empty()) tokens.push_back(first_token(tokenizer));

  Tape tape;
  const NoRecording no_recording(tape);
  const RandomStream stream{.seed = options.seed, .purpose = purpose_of("sampling"), .step = 0};
  std::string text;
  size_t emitted = 0;
  const auto emit_up_to = [&](size_t end) {
    if (emit && end > emitted) emit(std::string_view(text).substr(emitted, end - emitted));
    emitted = end;
  };
  for (int64_t i = 0; i < options.max_tokens; ++i) {
    const std::vector<float> logits = next_logits(model, tape, tokens);
    tokens.push_back(choose_token(logits, options, stream.uniform(static_cast<uint64_t>(i))));
    text += tokenizer.decode(std::span(tokens).last(1));
    emit_up_to(text.size() - unfinished_bytes(text));
  }
  if (emitted < text.size()) {  // the last token ended inside a character
    text.resize(emitted);
    text += "\uFFFD";
    emit_up_to(text.size());
  }
  return text;
}

}  // namespace folio
