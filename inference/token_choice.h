// The next token, drawn from a model's logits.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace folio {

struct SamplingOptions {
  int64_t max_tokens = 500;
  double temperature = 0.8;  // 0: always the most likely token
  int64_t top_k = 0;         // only the k most likely; 0: all
  double top_p = 1.0;        // only the most likely that together reach p (Holtzman et al. 2020)
  uint64_t seed = 1;
};

/// Draws tokens. Reuses its memory from call to call.
class TokenChooser {
 public:
  /// Throws Error for impossible options.
  explicit TokenChooser(const SamplingOptions& options);

  /// Draws a token from the logits (V) of one position, with `uniform` in [0, 1). A token has the
  /// weight exp(logit / temperature). top_k keeps the k tokens with the largest weights, and top_p
  /// the fewest of these with that share of their weight; of equal weights, the lower token comes
  /// first. The result is the first kept token, in the order of their numbers, at which the
  /// cumulative weight exceeds `uniform` times the kept weight. Throws Error for logits that are
  /// not finite.
  int32_t choose(std::span<const float> logits, double uniform);

 private:
  bool keeps_all() const;
  void weigh(float largest);
  int32_t least_likely_kept();
  int32_t nucleus_end(size_t kept, double wanted);
  template <class Keep>
  int32_t draw(double uniform, const Keep& keep) const;

  SamplingOptions options_;
  std::span<const float> logits_;
  std::vector<float> weights_;  // per token; the largest is 1
  std::vector<int32_t> order_;  // tokens by decreasing weight, as far as needed
};

}  // namespace folio
