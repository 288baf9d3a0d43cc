#include "folio/inspect/run_hooks.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "folio/inspect/plan.h"
#include "folio/io/output.h"
#include "support/run_fixture.h"

namespace folio {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class RunNotes : public RunTest {
 protected:
  static constexpr int64_t vocabulary = 30;
  Config config(const std::vector<std::string>& overrides = {}) const {
    return tiny_config(text_, overrides);
  }
};

TEST_F(RunNotes, SayWhatIsHardlyMeant) {
  EXPECT_THAT(notes_on(config(), vocabulary, int64_t{1} << 40), IsEmpty());
  EXPECT_THAT(
      notes_on(config({"optimizer.lr=5e-5", "schedule.final_lr=1e-4"}), vocabulary, std::nullopt),
      ElementsAre(
          AllOf(HasSubstr("schedule.final_lr, 0.0001"), HasSubstr("5e-05"), HasSubstr("rises"))));
  EXPECT_THAT(notes_on(config({"schedule.warmup=20"}), vocabulary, std::nullopt),
              ElementsAre(HasSubstr("schedule.warmup, 20, is not shorter than train.steps, 20")));
}

TEST_F(RunNotes, SayThatMemoryIsShort) {
  const int64_t needed = make_plan(config(), vocabulary).memory_bytes();
  EXPECT_THAT(notes_on(config(), vocabulary, needed), IsEmpty());
  EXPECT_THAT(notes_on(config(), vocabulary, needed - 1),
              ElementsAre(AllOf(HasSubstr(human_bytes(static_cast<double>(needed))),
                                HasSubstr("train.batch"))));
}

TEST_F(RunNotes, StandInTheRunsFirstLines) {
  EXPECT_THAT(train_into("run", {.overrides = {"schedule.warmup=20"}}),
              HasSubstr("note    schedule.warmup, 20"));
}

TEST(AvailableMemory, IsSomeOfTheMachines) {
  const auto bytes = available_memory();
  ASSERT_TRUE(bytes);  // every Linux tells
  EXPECT_GT(*bytes, 1 << 20);
  EXPECT_LT(*bytes, int64_t{1} << 50);
}

TEST(ForTheShell, QuotesWhatAShellWouldTakeApart) {
  EXPECT_EQ(shell_quoted("runs/first-2"), "runs/first-2");
  EXPECT_EQ(shell_quoted("a b/\xc3\xbcn"), "'a b/\xc3\xbcn'");
  EXPECT_EQ(shell_quoted("it's"), "'it'\\''s'");
  EXPECT_EQ(shell_quoted(""), "''");
}

}  // namespace
}  // namespace folio
