#include "folio/tasks/masked_token.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <iterator>
#include <numeric>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "folio/data/token_batches.h"
#include "folio/tasks/token_task.h"
#include "folio/tensor/random.h"

namespace folio {
namespace {

/// How many tokens of a sample are predicted: always as many, so that every step has as many
/// targets.
int64_t hidden_count(double fraction, int64_t context) {
  return std::clamp<int64_t>(std::llround(fraction * static_cast<double>(context)), 1, context);
}

/// Hides tokens of samples. What is hidden depends on (seed, purpose, number of the sample) alone.
class Masking {
 public:
  Masking(const TaskInputs& inputs, double fraction, int64_t vocabulary)
      : seed_(inputs.seed),
        count_(hidden_count(fraction, inputs.context)),
        vocabulary_(vocabulary) {}

  /// Turns "tokens" and "targets" of a language model's batch into those of masked tokens. Of the
  /// tokens that are predicted 80% become the mask, 10% a random token, and 10% stay.
  void apply(const Batch& batch, std::string_view purpose, int64_t first_sample) const {
    const int64_t context = batch["tokens"].dim(1);
    std::vector<int64_t> order(static_cast<size_t>(context));
    for (int64_t row = 0; row < batch.samples(); ++row) {
      int32_t* const tokens = batch["tokens"].data<int32_t>() + row * context;
      int32_t* const targets = batch["targets"].data<int32_t>() + row * context;
      hide(tokens, targets, order, {seed_, purpose_of(purpose), 0},
           static_cast<uint64_t>(first_sample + row));
    }
  }

 private:
  /// `order` is scratch of as many elements as the sample has tokens.
  void hide(int32_t* tokens, int32_t* targets, std::vector<int64_t>& order,
            const RandomStream& random, uint64_t sample) const {
    const int64_t context = std::ssize(order);
    std::fill(targets, targets + context, ignored_target);
    std::iota(order.begin(), order.end(), 0);
    // The first steps of a Fisher-Yates shuffle; each draws three numbers.
    const uint64_t first = sample * static_cast<uint64_t>(3 * context);
    for (int64_t i = 0; i < count_; ++i) {
      const uint64_t index = first + static_cast<uint64_t>(3 * i);
      const auto rest = static_cast<uint64_t>(context - i);
      std::swap(order[i], order[i + static_cast<int64_t>(random.below(rest, index))]);
      const int64_t position = order[i];
      targets[position] = tokens[position];
      const double kind = random.uniform(index + 1);
      if (kind < 0.8) {
        tokens[position] = static_cast<int32_t>(vocabulary_);
      } else if (kind < 0.9) {
        tokens[position] =
            static_cast<int32_t>(random.below(static_cast<uint64_t>(vocabulary_), index + 2));
      }
    }
  }

  uint64_t seed_;
  int64_t count_, vocabulary_;
};

class MaskedSource : public DataSource {
 public:
  MaskedSource(TokenSpan tokens, const TaskInputs& inputs, double fraction, int64_t vocabulary)
      : tokens_(tokens, inputs.batch, inputs.context, inputs.data.sampling, inputs.seed),
        whole_windows_(std::ssize(tokens) / inputs.context),
        batch_(inputs.batch),
        masking_(inputs, fraction, vocabulary) {}

  Batch draw(int64_t step, int64_t first, int64_t count) const override {
    const Batch batch = tokens_.draw(step, first, count);
    masking_.apply(batch, "task.mask", step * batch_ + first);
    return batch;
  }
  // A short window at the end of the split is left out.
  int64_t windows() const override { return std::min(whole_windows_, tokens_.windows()); }
  Batch window(int64_t first, int64_t count) const override {
    const Batch batch = tokens_.window(first, std::min(count, windows() - first));
    masking_.apply(batch, "task.mask.window", first);
    return batch;
  }

 private:
  TokenSource tokens_;
  int64_t whole_windows_, batch_;
  Masking masking_;
};

/// A hidden token is replaced by the size of the tokenizer's vocabulary, one more than its last
/// token.
class MaskedToken : public TokenTask {
 public:
  MaskedToken(TaskInputs inputs, double fraction)
      : TokenTask(std::move(inputs)), fraction_(fraction) {}

  std::unique_ptr<Tokenizer> open(std::unique_ptr<Tokenizer> tokenizer) override {
    tokenizer = Task::open(std::move(tokenizer));
    vocabulary_ = tokenizer->vocabulary();
    return tokenizer;
  }

  std::unique_ptr<DataSource> source(Split split) const override {
    const TokenSpan tokens = tokens_of(split);
    if (tokens.empty()) return nullptr;
    return std::make_unique<MaskedSource>(tokens, inputs(), fraction_, vocabulary_);
  }

  /// What is hidden is shown as "_".
  std::string sample_text(const Batch& batch, int64_t sample,
                          const Tokenizer& tokenizer) const override {
    std::string text;
    const Batch one = batch.part(sample, 1);
    for (const int32_t token : one["tokens"].to_vector<int32_t>()) {
      text += token < tokenizer.vocabulary() ? tokenizer.decode({&token, 1}) : "_";
    }
    return text;
  }

  Batch blank(int64_t samples) const override {
    const Batch batch = TokenTask::blank(samples);
    int32_t* const targets = batch["targets"].data<int32_t>();
    for (int64_t i = 0; i < batch["targets"].numel(); ++i) {
      const bool hidden = i % inputs().context < hidden_count(fraction_, inputs().context);
      if (!hidden) targets[i] = ignored_target;
    }
    return batch;
  }

 private:
  double fraction_;
  int64_t vocabulary_ = 0;  // known once the task is open
};

}  // namespace

void MaskedTokenOptions::bind(Section& section) {
  section.number("fraction", fraction, {0.0, 1.0, false, true},
                 "of the tokens of a sample that is hidden and predicted");
}

std::unique_ptr<Task> MaskedTokenOptions::make(TaskInputs inputs) const {
  return std::make_unique<MaskedToken>(std::move(inputs), fraction);
}

}  // namespace folio
