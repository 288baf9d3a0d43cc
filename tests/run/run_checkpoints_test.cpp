// Which checkpoints of a run are whole, which one it continues from, and which ones go.
#include "folio/run/run_checkpoints.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <filesystem>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include "support/tiny_checkpoint.h"

namespace folio {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;
using ::testing::StartsWith;

class RunCheckpoints : public CheckpointTest {
 protected:
  void save(int64_t number) { state_.save(step(number), {.step = number}); }
  void save_best(int64_t number) { state_.save(best_, {.step = number}); }
  static void damage(const fs::path& checkpoint) {
    write_file(checkpoint / "optimizer.safetensors", "half");
  }
  /// The names of what is damaged, in the order in which it was found.
  static std::vector<std::string> damaged(const ResumePoint& point) {
    std::vector<std::string> names;
    for (const std::string& fault : point.damaged) {
      names.push_back(fault.substr(0, fault.find('/')));
      EXPECT_THAT(fault, HasSubstr("/optimizer.safetensors: it has 4 bytes but state.json"));
    }
    return names;
  }
  std::vector<int64_t> steps() const {
    std::vector<int64_t> numbers;
    for (const auto& [number, path] : list_checkpoints(run)) numbers.push_back(number);
    return numbers;
  }

  TinyState state_{1};
  fs::path best_ = checkpoints / "best";
};

TEST_F(RunCheckpoints, AnErrorNamesTheDamagedFile) {
  save(1);
  verify_checkpoint(step(1));
  const auto error = [&] { return error_of([&] { verify_checkpoint(step(1)); }); };
  const std::string text = read_text(step(1) / "tokenizer.json");
  write_file(step(1) / "tokenizer.json", text + " ");
  EXPECT_THAT(error(), HasSubstr("/step_1/tokenizer.json: it has " +
                                 std::to_string(text.size() + 1) + " bytes but state.json says " +
                                 std::to_string(text.size()) + " (is it truncated?)"));
  write_file(step(1) / "state.json", "{");
  EXPECT_THAT(error(), HasSubstr("/state.json: its checksum does not fit its content"));
  fs::remove(step(1) / "state.json");
  EXPECT_THAT(error(), HasSubstr("/state.json: cannot read: No such file or directory"));
}

TEST_F(RunCheckpoints, ARunWithoutAnyBeginsAtItsBeginning) {
  const ResumePoint point = find_resume_point(run);
  EXPECT_EQ(point.checkpoint, fs::path());
  EXPECT_FALSE(point.best_is_whole);
  EXPECT_THAT(point.damaged, IsEmpty());
}

TEST_F(RunCheckpoints, TheNewestThatIsWholeIsTaken) {
  for (int64_t number : {5, 30, 100, 200}) save(number);
  EXPECT_EQ(find_resume_point(run).checkpoint, step(200));
  damage(step(5));  // is older, so nobody asks
  damage(step(100));
  damage(step(200));
  const ResumePoint point = find_resume_point(run);
  EXPECT_EQ(point.checkpoint, step(30));
  EXPECT_THAT(damaged(point), ElementsAre("step_200", "step_100"));
}

TEST_F(RunCheckpoints, TheBestCountsAsOneOfItsStep) {
  save(10);
  save(20);
  for (const auto& [number, taken] :
       std::vector<std::pair<int64_t, fs::path>>{{5, step(20)}, {20, step(20)}, {25, best_}}) {
    save_best(number);
    EXPECT_EQ(find_resume_point(run).checkpoint, taken) << number;
    EXPECT_TRUE(find_resume_point(run).best_is_whole);
  }
  save_best(20);
  damage(step(20));
  EXPECT_EQ(find_resume_point(run).checkpoint, best_);
  EXPECT_THAT(damaged(find_resume_point(run)), ElementsAre("step_20"));
  fs::remove_all(step(10));
  fs::remove_all(step(20));
  EXPECT_EQ(find_resume_point(run).checkpoint, best_);
}

TEST_F(RunCheckpoints, ADamagedBestIsSaid) {
  save(20);
  save_best(5);
  damage(best_);
  const ResumePoint point = find_resume_point(run);
  EXPECT_EQ(point.checkpoint, step(20));
  EXPECT_FALSE(point.best_is_whole);
  EXPECT_THAT(damaged(point), ElementsAre("best"));
}

TEST_F(RunCheckpoints, WhereNoneIsWholeAllAreListed) {
  save(10);
  save(20);
  save_best(10);
  for (const fs::path& path : {step(10), step(20), best_}) damage(path);
  EXPECT_THAT(error_of([&] { find_resume_point(run); }),
              AllOf(StartsWith(checkpoints.string() + ": no checkpoint is whole (best/optimizer"),
                    HasSubstr("; step_20/optimizer.safetensors: it has 4 bytes"),
                    HasSubstr("; step_10/optimizer.safetensors: it has 4 bytes"),
                    HasSubstr("start a new run with another --run")));
}

TEST_F(RunCheckpoints, TheNewestAreKept) {
  for (int64_t number : {5, 30, 100, 200}) save(number);
  save_best(5);
  remove_old_checkpoints(run, 200, 0);
  EXPECT_THAT(steps(), ElementsAre(5, 30, 100, 200));
  remove_old_checkpoints(run, 200, 4);
  EXPECT_THAT(steps(), ElementsAre(5, 30, 100, 200));
  remove_old_checkpoints(run, 100, 2);  // 200 is of before a resume
  EXPECT_THAT(steps(), ElementsAre(30, 100, 200));
  remove_old_checkpoints(run, 200, 1);
  EXPECT_THAT(steps(), ElementsAre(200));
  verify_checkpoint(step(200));
  verify_checkpoint(best_);
  EXPECT_EQ(std::distance(fs::directory_iterator(checkpoints), {}), 2);
}

TEST_F(RunCheckpoints, WhatARemovalLeftIsNoCheckpoint) {
  // As if the machine had stopped while step_5 was being removed.
  save(5);
  const fs::path removed = checkpoints / ("step_5.tmp-" + std::to_string(::getpid()));
  fs::rename(step(5), removed);
  fs::remove(removed / "model.safetensors");
  EXPECT_THAT(list_checkpoints(run), IsEmpty());
  save(10);
  EXPECT_THAT(list_checkpoints(run), ElementsAre(Pair(10, step(10))));
  EXPECT_FALSE(fs::exists(removed));
}

TEST_F(RunCheckpoints, ADamagedOneIsReplacedWhenTheRunComesBy) {
  for (const char* name : {"state.json", "model.safetensors", "tokenizer.json"}) {
    save(10);
    fs::remove(step(10) / name);
    save(10);
    verify_checkpoint(step(10));
  }
  fs::remove_all(step(10));
  fs::create_directory(step(10));
  save(10);
  verify_checkpoint(step(10));
}

}  // namespace
}  // namespace folio
