// Batches of tokens and the tokens that follow them: "tokens" and "targets", both i32 (B, T), where
// targets[b, t] is the token after tokens[b, t].
#pragma once

#include <cstdint>

#include "folio/data/data_source.h"
#include "folio/data/token_span.h"

namespace folio {

enum class Sampling : uint8_t {
  random,    // each sample begins at a random offset, as in nanoGPT
  shuffled,  // epochs over consecutive windows of T tokens, each once, in random order
};

/// Draws training batches. Sample i of step s depends only on (seed, s * batch + i), so any process
/// can make any part of any batch, and the step is the only state.
class BatchSampler {
 public:
  /// `tokens` must outlive the sampler. Throws Error unless there are more than `context` tokens.
  BatchSampler(TokenSpan tokens, int64_t batch, int64_t context, Sampling sampling, uint64_t seed);

  /// Samples first to first + count - 1 of the batch of `step`, which counts from 0.
  Batch draw(int64_t step, int64_t first, int64_t count) const;
  /// The offset of a sample in the tokens. `sample` counts over all steps.
  int64_t offset_of(int64_t sample) const;
  /// The number of windows in an epoch of Sampling::shuffled: floor((tokens - 1) / context).
  int64_t windows() const { return windows_; }

 private:
  TokenSpan tokens_;
  int64_t batch_, context_;
  Sampling sampling_;
  uint64_t seed_;
  int64_t windows_;
};

/// Consecutive windows over a whole split, for evaluation. Window w predicts tokens w T + 1 to
/// w T + T. A short last window is padded with token 0 and ignored_target.
class Windows {
 public:
  /// `tokens` must outlive this object. Throws Error unless `context` is at least 1.
  Windows(TokenSpan tokens, int64_t context);

  int64_t count() const;             // windows
  int64_t predicted_tokens() const;  // tokens.size() - 1, or 0
  /// Windows first to first + n - 1 as a batch, with n = min(batch, count() - first).
  Batch batch(int64_t first, int64_t batch) const;

 private:
  TokenSpan tokens_;
  int64_t context_;
};

/// Both over one sequence of tokens.
class TokenSource : public DataSource {
 public:
  /// Throws Error as BatchSampler does.
  TokenSource(TokenSpan tokens, int64_t batch, int64_t context, Sampling sampling, uint64_t seed)
      : sampler_(tokens, batch, context, sampling, seed), windows_(tokens, context) {}

  Batch draw(int64_t step, int64_t first, int64_t count) const override {
    return sampler_.draw(step, first, count);
  }
  int64_t windows() const override { return windows_.count(); }
  Batch window(int64_t first, int64_t count) const override { return windows_.batch(first, count); }

 private:
  BatchSampler sampler_;
  Windows windows_;
};

}  // namespace folio
