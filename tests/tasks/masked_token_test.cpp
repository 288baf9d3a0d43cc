// Masked tokens: how many are hidden, by what, and that it depends on the sample alone.
#include "folio/tasks/masked_token.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <map>
#include <memory>
#include <numeric>
#include <string>

#include "folio/data/token_batches.h"
#include "folio/tensor/error.h"
#include "support/temporary.h"

namespace folio {
namespace {

constexpr int64_t context = 20, samples = 6;

struct MaskedTokenTest : testing::Test {
  MaskedTokenTest() {
    std::string text;
    for (int i = 0; i < 4000; ++i) text += static_cast<char>('a' + i * i % 23);
    TaskInputs inputs;
    inputs.context = context;
    inputs.batch = samples;
    inputs.seed = 5;
    inputs.data.text = (directory.path() / "text.txt").string();
    write_file(inputs.data.text, text);
    task = MaskedTokenOptions{.fraction = 0.15}.make(inputs);
    tokenizer = task->open(nullptr);
    source = task->source(Split::train);
  }

  TemporaryDirectory directory;
  std::unique_ptr<Task> task;
  std::unique_ptr<Tokenizer> tokenizer;
  std::unique_ptr<DataSource> source;
};

TEST_F(MaskedTokenTest, EverySampleHidesAsMany) {
  for (int64_t step = 0; step < 20; ++step) {
    const Batch batch = source->draw(step, 0, samples);
    for (int64_t i = 0; i < samples; ++i) EXPECT_EQ(task->targets(batch.part(i, 1)), 3);
    EXPECT_EQ(task->targets(batch), task->targets(task->blank(samples)));
  }
}

TEST_F(MaskedTokenTest, HiddenTokensAreMaskedReplacedOrKept) {
  const TokenSource plain(task->corpus().train(), samples, context, Sampling::random, 5);
  std::map<std::string, int> kinds;
  int all = 0;
  for (int64_t step = 0; step < 300; ++step) {
    const Batch batch = source->draw(step, 0, samples), original = plain.draw(step, 0, samples);
    const auto seen = batch["tokens"].to_vector<int32_t>();
    const auto targets = batch["targets"].to_vector<int32_t>();
    const auto truth = original["tokens"].to_vector<int32_t>();
    for (size_t i = 0; i < seen.size(); ++i) {
      if (targets[i] == ignored_target) {
        EXPECT_EQ(seen[i], truth[i]);
        continue;
      }
      ASSERT_EQ(targets[i], truth[i]);
      ++all;
      ++kinds[seen[i] == tokenizer->vocabulary() ? "mask" : seen[i] == truth[i] ? "kept" : "other"];
    }
  }
  // 80%, 10% (of which one in 23 is the right one by chance) and 10%, within four deviations.
  EXPECT_NEAR(kinds["mask"], 0.8 * all, 4 * std::sqrt(0.16 * all));
  EXPECT_NEAR(kinds["other"], 0.1 * all, 4 * std::sqrt(0.09 * all) + 0.005 * all);
  EXPECT_NEAR(kinds["kept"], 0.1 * all, 4 * std::sqrt(0.09 * all) + 0.005 * all);
}

TEST_F(MaskedTokenTest, ASampleIsTheSameInEveryDivision) {
  const Batch whole = source->draw(3, 0, samples);
  for (int64_t first = 0; first < samples; ++first) {
    const Batch one = source->draw(3, first, 1), part = whole.part(first, 1);
    for (const char* const name : {"tokens", "targets"}) {
      EXPECT_EQ(one[name].to_vector<int32_t>(), part[name].to_vector<int32_t>());
    }
  }
}

TEST_F(MaskedTokenTest, AnEvaluationReadsWholeWindowsAlone) {
  const auto validation = task->source(Split::validation);
  EXPECT_EQ(validation->windows(), std::ssize(task->corpus().validation()) / context);
  const Batch last = validation->window(validation->windows() - 1, 4);
  EXPECT_EQ(last.samples(), 1);
  EXPECT_EQ(task->targets(last), 3);
}

TEST_F(MaskedTokenTest, ReportsShowWhatIsHidden) {
  const Batch batch{{{"tokens", Tensor::from<int32_t>(
                                    {1, 3}, {0, static_cast<int32_t>(tokenizer->vocabulary()), 1})},
                     {"targets", Tensor::from<int32_t>({1, 3}, {-1, 2, -1})}}};
  EXPECT_EQ(task->sample_text(batch, 0, *tokenizer), "a_b");
}

}  // namespace
}  // namespace folio
