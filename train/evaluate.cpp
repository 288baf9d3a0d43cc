#include "folio/train/evaluate.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <vector>

#include "folio/tensor/error.h"
#include "folio/tensor/scope_exit.h"

namespace folio {

double Evaluation::perplexity() const { return std::exp(loss); }

std::optional<double> Evaluation::bits_per_byte(std::optional<int64_t> text_bytes) const {
  if (!text_bytes) return std::nullopt;
  return loss * static_cast<double>(targets) /
         (std::numbers::ln2 * static_cast<double>(*text_bytes));
}

Evaluation evaluate(const Task& task, const Model& model, Tape& tape, const DataSource& source,
                    int64_t batch, int64_t max_batches, Communicator& ranks) {
  FOLIO_CHECK(batch >= 1 && max_batches >= 0, "evaluate",
              "batch is {} and max_batches is {}; they must be at least 1 and 0", batch,
              max_batches);
  const int64_t all = (source.windows() + batch - 1) / batch;
  const int64_t count = max_batches > 0 ? std::min(all, max_batches) : all;

  const NoRecording no_recording(tape);
  const ScopeExit restore_training([&, before = tape.training()] { tape.set_training(before); });
  tape.set_training(false);
  const Parts parts{.count = count, .ranks = ranks.size()};
  const SlabRange own = parts.of(ranks.rank());
  const std::vector<std::string> names = task.measures();
  const auto columns = static_cast<int64_t>(names.size()) + 1;
  const Tensor sums({count * columns}, DType::f64);  // (batches, 1 + measures), targets first
  for (int64_t i = own.begin; i < own.end; ++i) {
    Totals totals;
    task.measure(tape, model, source.window(i * all / count * batch, batch), totals);
    double* const row = sums.data<double>() + i * columns;
    row[0] = static_cast<double>(totals.targets);
    for (size_t k = 0; k < names.size(); ++k) row[k + 1] = totals.sums[names[k]];
  }
  ranks.all_gather(sums, {.count = sums.numel(), .ranks = ranks.size(), .unit = columns});
  const auto sum_of = [&](int64_t column) {
    double sum = 0.0;
    for (int64_t i = 0; i < count; ++i) sum += sums.data<double>()[i * columns + column];
    return sum;
  };
  Evaluation result{.targets = static_cast<int64_t>(sum_of(0)), .whole_split = count == all};
  FOLIO_CHECK(result.targets > 0, "evaluate",
              "the split has no targets; it needs at least 2 tokens");
  for (size_t k = 0; k < names.size(); ++k) {
    result.means[names[k]] =
        sum_of(static_cast<int64_t>(k) + 1) / static_cast<double>(result.targets);
  }
  result.loss = result.means["loss"];
  return result;
}

}  // namespace folio
