#include "folio/train/evaluate.h"

#include <algorithm>
#include <cmath>
#include <numbers>

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

std::optional<double> Evaluation::bits_per_byte(std::optional<int64_t> text_bytes) const {
  if (!text_bytes) return std::nullopt;
  return loss * static_cast<double>(targets) /
         (std::numbers::ln2 * static_cast<double>(*text_bytes));
}

Evaluation evaluate(const Task& task, const Model& model, Tape& tape, const DataSource& source,
                    int64_t batch, int64_t max_batches, Communicator& ranks) {
  FOLIO_CHECK(batch >= 1 && max_batches >= 0, "evaluate",
              "batch is {} and max_batches {}; wanted at least 1 and at least 0", batch,
              max_batches);
  const int64_t all = (source.windows() + batch - 1) / batch;
  const int64_t count = max_batches > 0 ? std::min(all, max_batches) : all;

  const NoRecording no_recording(tape);
  const NoTraining no_training(tape);
  const Parts parts{.count = count, .ranks = ranks.size()};
  const SlabRange own = parts.of(ranks.rank());
  const Tensor losses({count}, DType::f64), targets({count}, DType::f64);  // of each batch
  for (int64_t i = own.begin; i < own.end; ++i) {
    Totals totals;
    task.measure(tape, model, source.window(i * all / count * batch, batch), totals);
    losses.data<double>()[i] = totals.loss;
    targets.data<double>()[i] = static_cast<double>(totals.targets);
  }
  ranks.all_gather(losses, parts);
  ranks.all_gather(targets, parts);
  Evaluation result{.whole_split = count == all};
  for (const double number : targets.to_vector<double>()) {
    result.targets += static_cast<int64_t>(number);
  }
  FOLIO_CHECK(result.targets > 0, "evaluate",
              "the split has no targets; at least 2 tokens are needed for one to be predicted");
  double sum = 0.0;
  for (const double loss : losses.to_vector<double>()) sum += loss;
  result.loss = sum / static_cast<double>(result.targets);
  return result;
}

}  // namespace folio
