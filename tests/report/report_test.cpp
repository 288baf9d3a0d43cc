#include "folio/report/report.h"

#include <fmt/core.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "folio/inspect/run_hooks.h"
#include "folio/tensor/error.h"
#include "support/temporary.h"
#include "support/tiny_run.h"

namespace folio {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

class Report : public ::testing::Test {
 protected:
  Report() {
    write_file(path("text.txt"), tiny_text());
    write_file(path("tiny.yaml"), tiny_yaml(path("text.txt")));
  }
  fs::path path(const std::string& name) const { return directory_.path() / name; }
  fs::path trained(const std::string& name, std::vector<std::string> overrides = {}) {
    for (const char* more : {"train.sample_at=[0, 5, 20]", "train.sample_tokens=30",
                             "train.checkpoint_every=20", "train.sample_prompt=the"}) {
      overrides.insert(overrides.begin(), more);
    }
    testing::internal::CaptureStdout();
    train({.config = path("tiny.yaml"), .overrides = overrides, .run = path(name)},
          inspecting_hooks());
    testing::internal::GetCapturedStdout();
    return path(name);
  }
  std::string page(const std::vector<fs::path>& runs,
                   const std::vector<fs::path>& references = {}) {
    return read_text(
        write_report({.runs = runs, .out = path("page.html"), .references = references}));
  }

  TemporaryDirectory directory_;
};

/// Tags that are opened are closed in their order, ids are unique, and nothing comes from
/// elsewhere.
void expect_sound(const std::string& html) {
  const std::set<std::string> empty = {"meta", "input", "br", "!DOCTYPE"};
  std::vector<std::string> open;
  std::set<std::string> ids;
  for (size_t at = 0; (at = html.find('<', at)) != std::string::npos;) {
    const size_t end = html.find('>', at);
    ASSERT_NE(end, std::string::npos);
    const std::string tag = html.substr(at + 1, end - at - 1);
    const std::string name = tag.substr(0, tag.find_first_of(" \n/", 1));
    at = end + 1;
    if (tag.front() == '/') {
      ASSERT_FALSE(open.empty()) << tag;
      ASSERT_EQ(open.back(), tag.substr(1));
      open.pop_back();
      continue;
    }
    if (const size_t id = tag.find(" id=\""); id != std::string::npos) {
      const size_t from = id + 5;
      EXPECT_TRUE(ids.insert(tag.substr(from, tag.find('"', from) - from)).second) << tag;
    }
    if (tag.back() == '/' || empty.contains(name)) continue;
    open.push_back(name);
    if (name == "script" || name == "style") at = html.find("</" + name, at);
  }
  EXPECT_TRUE(open.empty()) << open.back();
  EXPECT_THAT(html, AllOf(Not(HasSubstr("src=")), Not(HasSubstr("<link")),
                          Not(HasSubstr("@import")), Not(HasSubstr("href=\"http"))));
}

TEST_F(Report, OfOneRun) {
  const fs::path run = trained("run");
  EXPECT_EQ(write_report({.runs = {run}, .out = {}, .references = {}}), run / "report.html");
  const std::string html = read_text(run / "report.html");
  expect_sound(html);
  for (const char* said : {"before training",
                           "after 5 steps",
                           "after 20 steps",
                           "<span class=\"prompt\">the</span>",
                           "validation loss",
                           "id=\"loss-step-linear-wide\"",
                           "id=\"loss-tokens-log-narrow\"",
                           "id=\"lr-time-linear\"",
                           "id=\"grad_norm-step-log\"",
                           "id=\"speed-step-linear\"",
                           "download=\"loss-step-linear-wide.svg\"",
                           "ln V",
                           "tokens to validate on",
                           "parameters",
                           "FLOP",
                           "weights",
                           "processor",
                           "longest stretch",
                           "label_smoothing: 0.1",
                           "prefers-color-scheme",
                           "@media print"}) {
    EXPECT_THAT(html, HasSubstr(said));
  }
}

TEST_F(Report, OfThreeRuns) {
  const std::vector<fs::path> runs = {trained("one"), trained("two", {"train.seed=4"}),
                                      trained("three", {"optimizer.lr=0.02", "model.width=8"})};
  const std::string html = page(runs);
  expect_sound(html);
  for (const char* said : {"3 runs", "one, train", "two, validation", "three, validation",
                           "<tr class=\"differs\"><th scope=\"row\">width</th>"}) {
    EXPECT_THAT(html, HasSubstr(said));
  }
  EXPECT_THAT(html, Not(HasSubstr("<tr class=\"differs\"><th scope=\"row\">layers</th>")));
}

TEST_F(Report, RunsOfOneNameAreToldApartByTheirPaths) {
  fs::create_directory(path("a"));
  fs::create_directory(path("b"));
  const std::string html = page({trained("a/run"), trained("b/run")});
  EXPECT_THAT(html, AllOf(HasSubstr(path("a/run").string() + ", train"),
                          HasSubstr(path("b/run").string() + ", train")));
}

TEST_F(Report, DrawsReferences) {
  write_file(path("band.json"),
             R"({"recipe":"tiny recipe","seeds":[1,2,3],"tokens_per_step":96,"val_loss":[
                 {"step":5,"mean":3.5,"deviation":0.1},{"step":20,"mean":3.0,"deviation":0.1}]})");
  const std::string html = page({trained("run")}, {path("band.json")});
  expect_sound(html);
  EXPECT_THAT(html, AllOf(HasSubstr("tiny recipe, 3 seeds"), HasSubstr("class=\"reference\"")));
}

TEST_F(Report, EscapesWhatRunsSay) {
  const std::string evil = "</script><b onclick=\"x\">&";
  const fs::path run = trained("<b>run&");
  write_file(run / "samples" / "step_20.txt", evil + "\xff\n");
  write_file(run / "machine.json", nlohmann::json{{evil, evil}}.dump());
  const std::string html = page({run, trained("other")});
  expect_sound(html);
  EXPECT_THAT(html, AllOf(HasSubstr("&lt;/script&gt;&lt;b onclick=&quot;x&quot;&gt;&amp;"),
                          HasSubstr("\\u003cb>run&"), Not(HasSubstr("<b onclick")),
                          Not(HasSubstr("<b>run"))));
}

TEST_F(Report, OfARunThatCrashed) {
  const fs::path run = trained("run");
  std::ofstream(run / "metrics.jsonl", std::ios::app)
      << "{\"step\":21,\"train_loss\":null}\n{\"step\":22,\"train_loss\":NaN}\n{\"step\":23,\"tr";
  const std::string html = page({run});
  expect_sound(html);
  EXPECT_THAT(html, AllOf(HasSubstr("1 line of metrics.jsonl could not be read"),
                          HasSubstr("2 values are not finite")));
}

TEST_F(Report, OfARunOfWhichLittleIsLeft) {
  const fs::path run = trained("run");
  for (const char* gone : {"samples", "checkpoints", "text.json", "machine.json"}) {
    fs::remove_all(run / gone);
  }
  write_file(run / "metrics.jsonl", "");
  const std::string html = page({run});
  expect_sound(html);
  EXPECT_THAT(html, AllOf(HasSubstr("The text could not be looked at"),
                          HasSubstr("has no values yet"), Not(HasSubstr("What it writes"))));
}

TEST_F(Report, RefusesWhatIsNoRun) {
  const auto error = [&](const fs::path& run) { return error_of([&] { page({run}); }); };
  EXPECT_THAT(error(path("nowhere")), HasSubstr("no such run directory"));
  fs::create_directory(path("empty"));
  EXPECT_THAT(error(path("empty")), HasSubstr("is not a run directory"));
  write_file(path("empty/config.yaml"), tiny_yaml(path("text.txt")));
  EXPECT_THAT(error(path("empty")), HasSubstr("has no metrics.jsonl"));
  EXPECT_FALSE(fs::exists(path("page.html")));
}

TEST_F(Report, LeavesAPageAloneWhenItFails) {
  write_file(path("page.html"), "mine");
  EXPECT_NE(error_of([&] { page({path("nowhere")}); }), "");
  EXPECT_EQ(read_text(path("page.html")), "mine");
}

TEST_F(Report, OfManySamplesShowsTheFirstTheLastAndSomeBetween) {
  const fs::path run = trained("run");
  for (int step = 1; step <= 40; ++step) {
    write_file(run / "samples" / fmt::format("step_{}.txt", step), "some text");
  }
  const std::string html = page({run});
  EXPECT_THAT(html, AllOf(HasSubstr("before training"), HasSubstr("after 1 step<"),
                          HasSubstr("after 40 steps"), HasSubstr("between those shown")));
}

}  // namespace
}  // namespace folio
