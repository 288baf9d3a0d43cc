#include "folio/tasks/next_token.h"

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "folio/data/synthetic.h"
#include "folio/data/token_batches.h"
#include "folio/tasks/token_task.h"

namespace folio {
namespace {

/// targets[b, t] is the token after tokens[b, t].
class NextToken : public TokenTask {
 public:
  using TokenTask::TokenTask;

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
};

}  // namespace

std::unique_ptr<Task> NextTokenOptions::make(TaskInputs inputs) const {
  return std::make_unique<NextToken>(std::move(inputs));
}

}  // namespace folio
