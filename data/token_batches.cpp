#include "folio/data/token_batches.h"

#include <algorithm>
#include <bit>
#include <iterator>

#include "folio/tensor/error.h"
#include "folio/tensor/random.h"

namespace folio {
namespace {

Batch empty_batch(int64_t rows, int64_t context) {
  return {{{"tokens", Tensor({rows, context}, DType::i32)},
           {"targets", Tensor({rows, context}, DType::i32)}}};
}

// Element `position` of permutation `epoch` of 0 to size - 1, by a Feistel network (Luby and
// Rackoff 1988) over the next power of four, with cycle walking to stay in range (Black and Rogaway
// 2002). The permutation is not stored, so every sample of every epoch costs the same.
int64_t permuted(int64_t position, int64_t size, uint64_t seed, uint64_t epoch) {
  const RandomStream stream{seed, purpose_of("data.shuffle"), static_cast<uint32_t>(epoch)};
  const auto bits = static_cast<int>(std::bit_width(static_cast<uint64_t>(size - 1)));
  const int half_bits = std::max(1, (bits + 1) / 2);
  const uint64_t mask = (uint64_t{1} << half_bits) - 1;
  auto value = static_cast<uint64_t>(position);
  do {
    uint64_t left = value >> half_bits, right = value & mask;
    for (uint64_t round = 0; round < 8; ++round) {
      const uint64_t mixed = left ^ (stream.bits(round << 32 | right) & mask);
      left = right;
      right = mixed;
    }
    value = left << half_bits | right;
  } while (value >= static_cast<uint64_t>(size));
  return static_cast<int64_t>(value);
}

}  // namespace

BatchSampler::BatchSampler(TokenSpan tokens, int64_t batch, int64_t context, Sampling sampling,
                           uint64_t seed)
    : tokens_(tokens), batch_(batch), context_(context), sampling_(sampling), seed_(seed) {
  FOLIO_CHECK(batch >= 1 && context >= 1, "batch sampler",
              "batch is {} and context {}; both must be at least 1", batch, context);
  FOLIO_CHECK(std::ssize(tokens) > context, "batch sampler",
              "there are {} tokens, but context {} needs at least {}; use a longer text or a "
              "smaller context",
              tokens.size(), context, context + 1);
  windows_ = (std::ssize(tokens) - 1) / context;
}

int64_t BatchSampler::offset_of(int64_t sample) const {
  FOLIO_CHECK(sample >= 0, "batch sampler", "sample {} does not exist; they count from 0", sample);
  if (sampling_ == Sampling::random) {
    const RandomStream stream{seed_, purpose_of("data.sampling"), 0};
    return static_cast<int64_t>(stream.below(static_cast<uint64_t>(std::ssize(tokens_) - context_),
                                             static_cast<uint64_t>(sample)));
  }
  const int64_t epoch = sample / windows_, position = sample % windows_;
  return permuted(position, windows_, seed_, static_cast<uint64_t>(epoch)) * context_;
}

Batch BatchSampler::draw(int64_t step, int64_t first, int64_t count) const {
  FOLIO_CHECK(step >= 0 && first >= 0 && count >= 1 && count <= batch_ - first, "batch sampler",
              "{} samples from sample {} of step {} on were asked for; a batch has samples 0 to {}",
              count, first, step, batch_ - 1);
  const Batch batch = empty_batch(count, context_);
  int32_t* const tokens = batch["tokens"].data<int32_t>();
  int32_t* const targets = batch["targets"].data<int32_t>();
  for (int64_t row = 0; row < count; ++row) {
    const auto begin = static_cast<size_t>(offset_of(step * batch_ + first + row));
    const auto length = static_cast<size_t>(context_);
    tokens_.copy(begin, length, tokens + row * context_);
    tokens_.copy(begin + 1, length, targets + row * context_);
  }
  return batch;
}

Windows::Windows(TokenSpan tokens, int64_t context) : tokens_(tokens), context_(context) {
  FOLIO_CHECK(context >= 1, "windows", "context is {}; it must be at least 1", context);
}

int64_t Windows::count() const { return (predicted_tokens() + context_ - 1) / context_; }

int64_t Windows::predicted_tokens() const { return std::max<int64_t>(std::ssize(tokens_) - 1, 0); }

Batch Windows::batch(int64_t first, int64_t batch) const {
  FOLIO_CHECK(first >= 0 && first < count() && batch >= 1, "windows",
              "{} windows from window {} on were asked for; there are windows 0 to {}", batch,
              first, count() - 1);
  const int64_t rows = std::min(batch, count() - first);
  const Batch result = empty_batch(rows, context_);
  for (int64_t row = 0; row < rows; ++row) {
    const int64_t start = (first + row) * context_;
    const int64_t length = std::min(context_, predicted_tokens() - start);
    int32_t* inputs = result["tokens"].data<int32_t>() + row * context_;
    int32_t* targets = result["targets"].data<int32_t>() + row * context_;
    tokens_.copy(static_cast<size_t>(start), static_cast<size_t>(length), inputs);
    tokens_.copy(static_cast<size_t>(start) + 1, static_cast<size_t>(length), targets);
    std::fill(inputs + length, inputs + context_, 0);
    std::fill(targets + length, targets + context_, ignored_target);
  }
  return result;
}

}  // namespace folio
