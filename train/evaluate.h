// The loss of a model over a split.
#pragma once

#include <cstdint>
#include <optional>

#include "folio/autograd/tape.h"
#include "folio/comm/communicator.h"
#include "folio/data/token_span.h"
#include "folio/data/tokenizer.h"
#include "folio/models/gpt.h"

namespace folio {

struct Evaluation {
  double loss = 0.0;   // mean over all predicted tokens, nats, without label smoothing
  int64_t tokens = 0;  // predicted

  double perplexity() const;
  /// Bits for a byte of the text, by which models of different tokenizers can be compared, where
  /// all of `split` was read. Ends of texts are no bytes. Nothing for random tokens, which are no
  /// text.
  std::optional<double> bits_per_byte(const Tokenizer& tokenizer, TokenSpan split) const;
};

/// Reads `tokens` once in consecutive windows of the model's context, `batch` windows at a time.
/// max_batches > 0: only that many batches, spread evenly over the split (always the same).
/// The ranks share the batches out; the result has the bits of one process, on each of them.
Evaluation evaluate(const Gpt& model, Tape& tape, TokenSpan tokens, int64_t batch,
                    int64_t max_batches = 0, Communicator& ranks = no_others());

}  // namespace folio
