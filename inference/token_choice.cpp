#include "folio/inference/token_choice.h"

#include <fmt/core.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <limits>
#include <numeric>

#include "folio/tensor/error.h"

namespace folio {
namespace {

/// Orders tokens by decreasing logit, then by number.
struct Likelier {
  std::span<const float> logits;
  bool operator()(int32_t a, int32_t b) const {
    return logits[a] > logits[b] || (logits[a] == logits[b] && a < b);
  }
};

void check_finite(std::span<const float> logits) {
  constexpr uint32_t exponent = 0x7F800000u;  // all of its bits are set in infinities and NaN
  bool finite = true;
  for (float logit : logits) finite &= (std::bit_cast<uint32_t>(logit) & exponent) != exponent;
  if (finite) return;
  const auto bad = std::ranges::find_if(logits, [](float logit) { return !std::isfinite(logit); });
  fail("sampling", fmt::format("the logit of token {} is {}; the model is broken (did its training "
                               "diverge?)",
                               bad - logits.begin(), *bad));
}

}  // namespace

TokenChooser::TokenChooser(const SamplingOptions& options) : options_(options) {
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

int32_t TokenChooser::choose(std::span<const float> logits, double uniform) {
  FOLIO_CHECK(!logits.empty(), "sampling", "there are no logits to choose from");
  FOLIO_CHECK(uniform >= 0.0 && uniform < 1.0, "sampling",
              "the random number is {}; it must be at least 0 and below 1", uniform);
  check_finite(logits);
  logits_ = logits;
  const auto largest = std::max_element(logits.begin(), logits.end());  // the first of equals
  if (options_.temperature == 0.0) return static_cast<int32_t>(largest - logits.begin());
  weigh(*largest);
  if (keeps_all()) return draw(uniform, [](int32_t) { return true; });
  const int32_t last = least_likely_kept();
  return draw(uniform, [last, likelier = Likelier{logits}](int32_t token) {
    return !likelier(last, token);
  });
}

bool TokenChooser::keeps_all() const {
  return options_.top_p == 1.0 && (options_.top_k == 0 || options_.top_k >= std::ssize(logits_));
}

void TokenChooser::weigh(float largest) {
  // A finite factor gives the largest logit exp(0) at the lowest temperatures too.
  const double factor = std::min(1.0 / options_.temperature, std::numeric_limits<double>::max());
  weights_.resize(logits_.size());
  for (size_t i = 0; i < logits_.size(); ++i) {
    const double difference = static_cast<double>(logits_[i]) - static_cast<double>(largest);
    weights_[i] = std::exp(static_cast<float>(difference * factor));
  }
}

int32_t TokenChooser::least_likely_kept() {
  order_.resize(logits_.size());
  std::iota(order_.begin(), order_.end(), 0);
  size_t kept = order_.size();
  if (options_.top_k > 0 && options_.top_k < std::ssize(order_)) {
    kept = static_cast<size_t>(options_.top_k);
    std::nth_element(order_.begin(), order_.begin() + (options_.top_k - 1), order_.end(),
                     Likelier{logits_});
  }
  const int32_t last = order_[kept - 1];
  if (options_.top_p == 1.0) return last;
  const Likelier likelier{logits_};
  double total = 0.0;
  for (int32_t token = 0; token < std::ssize(weights_); ++token) {
    if (kept == order_.size() || !likelier(last, token)) total += double{weights_[token]};
  }
  return nucleus_end(kept, options_.top_p * total);
}

/// The last of the fewest tokens of order_[0, kept) that together have the weight `wanted`. A few
/// tokens have most of the weight, so the range is sorted only as far as needed.
int32_t TokenChooser::nucleus_end(size_t kept, double wanted) {
  const Likelier likelier{logits_};
  double reached = 0.0;
  for (size_t begin = 0, size = 64; begin < kept; size *= 4) {
    const size_t end = std::min(kept, begin + size);
    const auto first = order_.begin() + static_cast<std::ptrdiff_t>(begin);
    const auto last = order_.begin() + static_cast<std::ptrdiff_t>(end);
    std::partial_sort(first, last, order_.begin() + static_cast<std::ptrdiff_t>(kept), likelier);
    for (; begin < end; ++begin) {
      reached += double{weights_[order_[begin]]};
      if (reached >= wanted) return order_[begin];
    }
  }
  return order_[kept - 1];  // reached only by rounding
}

template <class Keep>
int32_t TokenChooser::draw(double uniform, const Keep& keep) const {
  const auto count = static_cast<int32_t>(weights_.size());
  double total = 0.0;
  for (int32_t token = 0; token < count; ++token) {
    if (keep(token)) total += double{weights_[token]};
  }
  const double wanted = uniform * total;
  double passed = 0.0;
  int32_t last = 0;
  for (int32_t token = 0; token < count; ++token) {
    if (!keep(token)) continue;
    passed += double{weights_[token]};
    if (passed > wanted) return token;
    if (weights_[token] > 0.0f) last = token;
  }
  return last;  // reached only by rounding
}

}  // namespace folio
