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

/// Draws tokens, in memory that it keeps.
class TokenChooser {
 public:
  /// Throws Error for impossible options.
  explicit TokenChooser(const SamplingOptions& options);

  /// A token for the logits of one position (V). Each has the weight exp(logit / temperature). Kept
  /// are the top_k likeliest; of these the fewest likeliest that have top_p of their weight; of
  /// equally likely ones the lower token is the likelier. The choice is the first kept token, in
  /// the order of their numbers, up to which more than `uniform`, in [0, 1), of the kept weight has
  /// gone by. Throws Error for logits that are not finite.
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
  std::vector<float> weights_;  // one a token; the likeliest has 1
  std::vector<int32_t> order_;  // tokens, the likelier ones first as far as needed
};

/// One choice, as TokenChooser makes it.
int32_t choose_token(std::span<const float> logits, const SamplingOptions& options, double uniform);

}  // namespace folio
