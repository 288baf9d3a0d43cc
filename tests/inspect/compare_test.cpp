#include "folio/inspect/compare.h"

#include <fmt/core.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "folio/inspect/reference_band.h"
#include "folio/run/text_identity.h"
#include "folio/tensor/error.h"
#include "support/temporary.h"
#include "support/tiny_run.h"

namespace folio {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

// Tabulated values.
TEST(Statistics, StudentsDistribution) {
  EXPECT_NEAR(student_two_sided(2.0, 5.0), 0.10193947, 1e-8);
  EXPECT_NEAR(student_two_sided(1.0, 1.0), 0.5, 1e-12);  // Cauchy
  EXPECT_NEAR(student_two_sided(0.0, 3.0), 1.0, 1e-12);
  EXPECT_NEAR(student_two_sided(-4.0, 30.0), student_two_sided(4.0, 30.0), 0.0);
  EXPECT_NEAR(student_critical(0.05, 10.0), 2.22813885, 1e-8);
  EXPECT_NEAR(student_critical(0.05, 1.0), 12.70620474, 1e-7);
  EXPECT_NEAR(student_critical(0.05, 1e6), 1.95996636, 1e-6);
}

TEST(Statistics, WelchOfHandWorkedSamples) {
  const std::vector<double> a = {1.0, 2.0, 3.0, 4.0}, b = {3.0, 5.0, 7.0};
  const SampleStatistics sa = statistics_of(a), sb = statistics_of(b);
  EXPECT_DOUBLE_EQ(sa.mean, 2.5);
  EXPECT_DOUBLE_EQ(sa.deviation, std::sqrt(5.0 / 3.0));
  const WelchTest test = welch_test(sa, sb, 0.95);
  const double va = 5.0 / 12.0, vb = 4.0 / 3.0;
  EXPECT_DOUBLE_EQ(test.difference, 2.5);
  EXPECT_NEAR(test.t, 2.5 / std::sqrt(va + vb), 1e-12);
  EXPECT_NEAR(test.degrees, (va + vb) * (va + vb) / (va * va / 3.0 + vb * vb / 2.0), 1e-12);
  EXPECT_NEAR(0.5 * (test.low + test.high), 2.5, 1e-12);
  // At the end of the interval the test is just significant.
  EXPECT_NEAR(student_two_sided(2.5 / (test.high - 2.5) * student_critical(0.05, test.degrees),
                                test.degrees),
              test.p, 1e-9);
  EXPECT_NE(error_of([&] { welch_test(sa, statistics_of(std::vector{1.0}), 0.95); }), "");
}

TEST(Statistics, WithoutSpread) {
  const SampleStatistics one = statistics_of(std::vector{1.0, 1.0});
  EXPECT_EQ(welch_test(one, one, 0.95).p, 1.0);
  EXPECT_EQ(welch_test(one, statistics_of(std::vector{2.0, 2.0}), 0.95).p, 0.0);
}

class Compare : public ::testing::Test {
 protected:
  void SetUp() override {
    text_ = directory_.path() / "text.txt";
    write_file(text_, tiny_text());
  }
  /// A run as training leaves it, ended with a validation loss of `loss`.
  fs::path run(uint64_t seed, double loss, std::vector<std::string> overrides = {},
               int64_t last = 20) {
    overrides.push_back(fmt::format("train.seed={}", seed));
    const fs::path path = directory_.path() / fmt::format("run-{}", ++made_);
    fs::create_directory(path);
    write_file(path / "config.yaml", to_yaml(tiny_config(text_, overrides)));
    write_file(path / "text.json", to_json(identify_text(text_.string())));
    write_file(path / "metrics.jsonl",
               fmt::format("{{\"step\":1,\"val_loss\":9}}\n{{\"step\":{},\"val_loss\":{}}}\n", last,
                           loss));
    return path;
  }
  std::string said(const std::vector<fs::path>& runs) { return comparison(read_settings(runs)); }

  TemporaryDirectory directory_;
  fs::path text_;
  int made_ = 0;
};

TEST_F(Compare, FindsADifference) {
  const std::string text =
      said({run(1, 2.00), run(2, 2.01), run(3, 1.99), run(1, 1.80, {"optimizer.lr=0.02"}),
            run(2, 1.81, {"optimizer.lr=0.02"}), run(3, 1.82, {"optimizer.lr=0.02"})});
  EXPECT_THAT(text, AllOf(HasSubstr("optimizer.lr (0.01 | 0.02)"), HasSubstr("B is better"),
                          HasSubstr("-0.1900"), HasSubstr("1, 2, 3")));
}

TEST_F(Compare, SaysWhenSeedsDifferAsMuch) {
  EXPECT_THAT(said({run(1, 2.0), run(2, 1.8), run(3, 1.9), run(1, 1.95, {"model.dropout=0"}),
                    run(2, 1.75, {"model.dropout=0"}), run(3, 1.9, {"model.dropout=0"})}),
              HasSubstr("the difference is within the spread of the seeds"));
}

TEST_F(Compare, AsksForMoreSeeds) {
  EXPECT_THAT(
      said({run(1, 2.0), run(1, 1.0, {"optimizer.lr=0.02"})}),
      AllOf(HasSubstr("This cannot be tested"), HasSubstr("single run"), Not(HasSubstr("better"))));
  EXPECT_THAT(said({run(1, 2.0), run(2, 2.01), run(1, 1.0, {"optimizer.lr=0.02"}),
                    run(2, 1.01, {"optimizer.lr=0.02"})}),
              HasSubstr("too few to estimate its spread"));
  EXPECT_THAT(said({run(1, 2.0), run(2, 2.01)}), HasSubstr("nothing to compare"));
}

TEST_F(Compare, WhatOnlyReportsDoesNotMakeASetting) {
  EXPECT_EQ(
      read_settings({run(1, 2.0),
                     run(2, 2.0, {"train.threads=1", "train.sample_at=[1]", "train.log_every=3"})})
          .size(),
      1u);
}

// What is kept, and how memory is saved, changes no bit of what is learned.
TEST_F(Compare, WhatTheMachineIsSparedDoesNotMakeASetting) {
  const std::vector<fs::path> runs = {
      run(1, 2.0), run(2, 2.0, {"train.keep_last=1"}), run(3, 2.0, {"train.steps_in_flight=1"}),
      run(4, 2.0, {"train.recompute=block"}), run(5, 2.0, {"train.recompute=mlp"})};
  EXPECT_EQ(read_settings(runs).size(), 1u);
  EXPECT_EQ(read_settings({run(6, 2.0), run(7, 2.0, {"train.precision=bf16"})}).size(), 2u);
}

TEST_F(Compare, RefusesWhatCannotBeCompared) {
  EXPECT_THAT(error_of([&] { said({directory_.path()}); }), HasSubstr("not a run"));
  EXPECT_THAT(error_of([&] { said({run(1, 2.0, {}, 10)}); }), HasSubstr("10 of 20 steps"));
  EXPECT_THAT(error_of([&] {
                said({run(1, 2.0), run(1, 2.0)});
              }),
              HasSubstr("has the config and the seed, 1"));
  EXPECT_THAT(said({run(1, 2.0), run(1, 2.0, {"train.eval_batches=0"})}),
              HasSubstr("same train.eval_batches"));
}

TEST_F(Compare, ReferenceBands) {
  const fs::path path = directory_.path() / "band.json";
  write_file(path, R"({"recipe":"tiny","seeds":[1,2],"tokens_per_step":96,
                       "val_loss":[{"step":5,"mean":2.5,"deviation":0.1}]})");
  const ReferenceBand band = read_reference(path);
  EXPECT_EQ(band.name, "tiny");
  EXPECT_EQ(band.seeds, 2);
  ASSERT_EQ(band.points.size(), 1u);
  EXPECT_EQ(band.points[0].mean, 2.5);
  for (const char* bad :
       {"", "{}", R"({"recipe":"t","seeds":[],"tokens_per_step":1,"val_loss":[]})",
        R"({"recipe":"t","seeds":[1],"tokens_per_step":1,
                              "val_loss":[{"step":5,"mean":null,"deviation":0}]})",
        R"({"recipe":"t","seeds":[1],"tokens_per_step":1,
                              "val_loss":[{"step":5,"mean":1,"deviation":-1}]})"}) {
    write_file(path, bad);
    EXPECT_THAT(error_of([&] { read_reference(path); }), HasSubstr("band.json")) << bad;
  }
}

}  // namespace
}  // namespace folio
