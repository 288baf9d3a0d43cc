// (B, T) batches of tokens and the tokens that follow them.
#pragma once

#include <cstdint>

#include "folio/data/token_span.h"
#include "folio/tensor/tensor.h"

namespace folio {

/// inputs and targets are i32 (B, T); targets[b, t] is the token after inputs[b, t].
struct Batch {
  Tensor inputs, targets;
};

enum class Sampling : uint8_t {
  random,    // every sample begins at a random offset, as nanoGPT draws them
  shuffled,  // epochs: consecutive windows of T, each once, in an order drawn for the epoch
};

/// Draws training batches. Sample i of step s depends only on (seed, s * batch + i): any part of
/// any batch can be made by any process, and the step is all the state there is.
class BatchSampler {
 public:
  /// `tokens` must outlive the sampler and hold more than `context` tokens, else Error.
  BatchSampler(TokenSpan tokens, int64_t batch, int64_t context, Sampling sampling, uint64_t seed);

  /// Samples first .. first + count - 1 of the batch of `step` (counted from 0).
  Batch draw(int64_t step, int64_t first, int64_t count) const;
  /// Where sample `sample` (counted over all steps) begins in the tokens.
  int64_t offset_of(int64_t sample) const;
  /// Windows in an epoch of Sampling::shuffled: floor((tokens - 1) / context).
  int64_t windows() const { return windows_; }

 private:
  TokenSpan tokens_;
  int64_t batch_, context_;
  Sampling sampling_;
  uint64_t seed_;
  int64_t windows_;
};

/// Consecutive windows over a whole split, for evaluation: window w predicts tokens
/// w T + 1 .. w T + T. The last window may be short; its missing inputs are token 0, its missing
/// targets `ignored`.
class Windows {
 public:
  /// `tokens` must outlive this; context >= 1, else Error.
  Windows(TokenSpan tokens, int64_t context);

  int64_t count() const;             // windows
  int64_t predicted_tokens() const;  // tokens.size() - 1, or 0
  /// Windows first .. first + n - 1 as a batch, n = min(batch, count() - first).
  Batch batch(int64_t first, int64_t batch) const;

  static constexpr int32_t ignored = -1;

 private:
  TokenSpan tokens_;
  int64_t context_;
};

}  // namespace folio
