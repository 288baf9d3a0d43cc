#include "folio/train/evaluate.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "folio/data/batches.h"
#include "folio/data/corpus.h"
#include "folio/data/synthetic.h"
#include "folio/tensor/error.h"

namespace folio {
namespace {

/// Switches dropout off for a scope.
class NoTraining {
 public:
  explicit NoTraining(Tape& tape) : tape_(tape), before_(tape.training()) {
    tape.set_training(false);
  }
  ~NoTraining() { tape_.set_training(before_); }
  NoTraining(const NoTraining&) = delete;
  NoTraining& operator=(const NoTraining&) = delete;

 private:
  Tape& tape_;
  bool before_;
};

}  // namespace

double Evaluation::perplexity() const { return std::exp(loss); }

std::optional<double> Evaluation::bits_per_byte(const Tokenizer& tokenizer, TokenSpan split) const {
  if (tokenizer.kind() == synthetic_name) return std::nullopt;
  const int64_t bytes = text_bytes(tokenizer, split.subspan(1));  // nothing predicts the first
  return loss * static_cast<double>(tokens) / (std::numbers::ln2 * static_cast<double>(bytes));
}

Evaluation evaluate(const Gpt& model, Tape& tape, TokenSpan tokens, int64_t batch,
                    int64_t max_batches, Communicator& ranks) {
  const int64_t context = model.config().context;
  const Windows windows(tokens, context);
  FOLIO_CHECK(windows.count() > 0, "evaluate",
              "there are {} tokens; at least 2 are needed for one to be predicted", tokens.size());
  FOLIO_CHECK(batch >= 1 && max_batches >= 0, "evaluate",
              "batch is {} and max_batches {}; wanted at least 1 and at least 0", batch,
              max_batches);
  const int64_t all = (windows.count() + batch - 1) / batch;
  const int64_t count = max_batches > 0 ? std::min(all, max_batches) : all;

  const NoRecording no_recording(tape);
  const NoTraining no_training(tape);
  const Parts parts{.count = count, .ranks = ranks.size()};
  const SlabRange own = parts.of(ranks.rank());
  const Tensor sums({count}, DType::f64);  // of each batch
  Evaluation result;
  for (int64_t i = 0; i < count; ++i) {
    const int64_t first = i * all / count * batch;
    const int64_t end = std::min(windows.predicted_tokens(), (first + batch) * context);
    const int64_t predicted = end - first * context;
    result.tokens += predicted;
    if (i < own.begin || i >= own.end) continue;
    const Batch part = windows.batch(first, batch);
    const Variable loss =
        model.loss(tape, part.inputs, part.targets, /*label_smoothing=*/0.0, predicted);
    sums.data<double>()[i] = loss.value.item() * static_cast<double>(predicted);
  }
  ranks.all_gather(sums, parts);
  double sum = 0.0;
  for (const double of_batch : sums.to_vector<double>()) sum += of_batch;
  result.loss = sum / static_cast<double>(result.tokens);
  return result;
}

}  // namespace folio
