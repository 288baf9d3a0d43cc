#include "folio/tasks/next_token.h"

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "folio/data/synthetic.h"
#include "folio/data/token_batches.h"
#include "folio/tasks/token_loss.h"

namespace folio {
namespace {

/// Batches have "tokens" and "targets", i32 (B, T); the model gives logits (B, T, V).
class NextToken : public Task {
 public:
  using Task::Task;

  std::unique_ptr<DataSource> source(Split split) const override {
    const TokenSpan tokens = tokens_of(split);
    if (tokens.empty()) return nullptr;
    return std::make_unique<TokenSource>(tokens, inputs().batch, inputs().context,
                                         inputs().data.sampling, inputs().seed);
  }

  std::optional<int64_t> text_bytes(Split split, const Tokenizer& tokenizer) const override {
    if (tokenizer.kind() == synthetic_name) return std::nullopt;
    return folio::text_bytes(tokenizer, tokens_of(split).subspan(1));  // nothing predicts the first
  }

  std::string sample_text(const Batch& batch, int64_t sample,
                          const Tokenizer& tokenizer) const override {
    const Batch one = batch.part(sample, 1);
    std::vector<int32_t> tokens = one["tokens"].to_vector<int32_t>();
    tokens.push_back(one["targets"].to_vector<int32_t>().back());
    return tokenizer.decode(tokens);
  }

  int64_t targets(const Batch& batch) const override { return count_targets(batch["targets"]); }

  Batch blank(int64_t samples) const override {
    return blank_token_batch(samples, inputs().context);
  }

  Variable loss(Tape& tape, const Model& model, const Batch& batch,
                int64_t targets_of_step) const override {
    return cross_entropy(tape, model.forward(tape, batch), batch["targets"],
                         {.label_smoothing = inputs().label_smoothing,
                          .ignored_index = ignored_target,
                          .valid_targets = targets_of_step});
  }

  void measure(Tape& tape, const Model& model, const Batch& batch, Totals& totals) const override {
    add_token_totals(tape, model.forward(tape, batch), batch["targets"], totals);
  }

 private:
  TokenSpan tokens_of(Split split) const {
    return split == Split::train ? corpus().train() : corpus().validation();
  }
};

}  // namespace

std::unique_ptr<Task> NextTokenOptions::make(TaskInputs inputs) const {
  return std::make_unique<NextToken>(std::move(inputs));
}

}  // namespace folio
