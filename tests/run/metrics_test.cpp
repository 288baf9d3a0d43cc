#include "folio/run/metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <iterator>
#include <limits>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "folio/tensor/error.h"
#include "folio/tensor/random.h"
#include "support/temporary.h"

namespace folio {
namespace {

namespace fs = std::filesystem;

constexpr int64_t all = std::numeric_limits<int64_t>::max();

class Metrics : public ::testing::Test {
 protected:
  /// What is left of `text` when a run resumes after `step`.
  std::string resumed(std::string_view text, int64_t step) {
    write_file(path, text);
    { MetricsWriter writer(path, step); }
    return read_text(path);
  }

  TemporaryDirectory directory;
  fs::path path = directory.path() / "metrics.jsonl";
};

TEST_F(Metrics, OneObjectALine) {
  MetricsWriter writer(path, 0);
  writer.train(1, 4.25, 1e-3, 0.5, 12000);
  writer.validation(1, 3);
  // Readable at once: a run that is killed now has lost nothing.
  EXPECT_EQ(read_text(path),
            "{\"step\":1,\"train_loss\":4.25,\"lr\":0.001,\"grad_norm\":0.5,"
            "\"tokens_per_second\":12000.0}\n"
            "{\"step\":1,\"val_loss\":3.0}\n");
}

TEST_F(Metrics, NumbersReadBackToTheSameDouble) {
  const std::vector<double> values = {
      0.1,  1.0 / 3, 1e-310, -0.0, 1e22, 123456789.123456789, 5e-324, 1.7976931348623157e308,
      1e-5, -2.5};
  {
    MetricsWriter writer(path, 0);
    for (double value : values) writer.validation(7, value);
  }
  std::istringstream lines(read_text(path));
  std::string line;
  for (double value : values) {
    ASSERT_TRUE(std::getline(lines, line));
    const double back = nlohmann::json::parse(line)["val_loss"];
    EXPECT_EQ(back, value);
    EXPECT_EQ(std::signbit(back), std::signbit(value));
  }
}

TEST_F(Metrics, WhatIsNotFiniteIsNull) {
  MetricsWriter writer(path, 0);
  const double infinity = std::numeric_limits<double>::infinity();
  writer.train(1, std::nan(""), infinity, -infinity, 1);
  EXPECT_EQ(read_text(path),
            "{\"step\":1,\"train_loss\":null,\"lr\":null,\"grad_norm\":null,"
            "\"tokens_per_second\":1.0}\n");
}

TEST_F(Metrics, AResumedRunAppends) {
  { MetricsWriter(path, 0).validation(1, 1); }
  { MetricsWriter(path, 1).validation(2, 0.5); }
  EXPECT_EQ(read_text(path), "{\"step\":1,\"val_loss\":1.0}\n{\"step\":2,\"val_loss\":0.5}\n");
}

TEST_F(Metrics, LinesAfterTheCheckpointAreRemoved) {
  EXPECT_EQ(resumed("{\"step\":5,\"a\":1}\n{\"step\":6}\n{\"step\":5,\"b\":[{\"step\":9}]}\n"
                    "{\"step\":7}\n",
                    5),
            "{\"step\":5,\"a\":1}\n{\"step\":5,\"b\":[{\"step\":9}]}\n");
  EXPECT_EQ(resumed("{\"step\":5}\n", 4), "");
  EXPECT_EQ(std::distance(fs::directory_iterator(directory.path()), {}), 1);
}

TEST_F(Metrics, TornLinesAreRemoved) {
  const std::string whole = "{\"step\":1,\"val_loss\":1.5}\n";
  const std::string last = "{\"step\":2,\"val_loss\":2.5}";
  for (size_t length = 0; length < last.size(); ++length) {
    EXPECT_EQ(lines_until(whole + last.substr(0, length), all), whole) << length;
  }
  EXPECT_EQ(resumed(whole + last, all), whole + last + "\n");
  EXPECT_EQ(resumed(whole + std::string(40, '\0') + "\n" + whole, all), whole + whole);
}

TEST_F(Metrics, AWholeFileIsLeftAsItIs) {
  const std::string text = "{\"step\":1}\n{\"step\":2}\n";
  write_file(path, text);
  const auto time = fs::file_time_type() + std::chrono::hours(1);
  fs::last_write_time(path, time);
  { MetricsWriter writer(path, 2); }
  EXPECT_EQ(read_text(path), text);
  EXPECT_EQ(fs::last_write_time(path), time);
}

TEST(MetricsLines, SeededMutations) {
  const std::string original =
      "{\"step\":1,\"val_loss\":1.5}\n{\"step\":2,\"x\":[[{}],\"é\\n\"]}\n{\"step\":3}\n";
  const std::vector<std::string> pieces = {
      "{",          "}", "[", "\"", "\n", "1e999", "-", "\xff", "null", "18446744073709551615",
      "\"step\":2,"};
  const RandomStream stream{.seed = 6, .purpose = purpose_of("mutations"), .step = 0};
  uint64_t drawn = 0;
  const auto below = [&](uint64_t limit) { return stream.below(limit, drawn++); };
  for (int i = 0; i < 5000; ++i) {
    std::string bytes = original;
    for (uint64_t change = below(3) + 1; change > 0; --change) {
      const size_t at = below(bytes.size());
      if (below(2) == 0) {
        bytes[at] ^= static_cast<char>(1 << below(8));
      } else {
        bytes.insert(at, pieces[below(pieces.size())]);
      }
    }
    const std::string kept = lines_until(bytes, 2);
    std::istringstream lines(kept);
    for (std::string line; std::getline(lines, line);) {
      EXPECT_LE(nlohmann::json::parse(line).at("step").get<int64_t>(), 2);
    }
    EXPECT_EQ(lines_until(kept, 2), kept);
  }
}

TEST(MetricsLines, ALineNestedWithoutEndIsRemoved) {
  EXPECT_EQ(lines_until("{\"step\":1,\"a\":" + std::string(1000000, '[') + "\n{\"step\":1}\n", 2),
            "{\"step\":1}\n");
}

TEST(MetricsLines, TheLastStepOnRecord) {
  EXPECT_EQ(last_step_in(""), -1);
  EXPECT_EQ(last_step_in("no line of ours\n{\"st"), -1);
  EXPECT_EQ(last_step_in("{\"step\":3,\"val_loss\":1.0}\n{\"step\":2,\"train_loss\":1.0}\n{\"ste"),
            3);
}

TEST_F(Metrics, ErrorsNameThePathAndTheReason) {
  write_file(path, "");
  const fs::path under = path / "metrics.jsonl";
  EXPECT_EQ(error_of([&] { MetricsWriter writer(under, 0); }),
            under.string() + ": cannot open: Not a directory");
}

TEST_F(Metrics, ADiskThatIsFull) {
  if (!fs::exists("/dev/full")) GTEST_SKIP() << "this system has no /dev/full";
  fs::create_symlink("/dev/full", path);
  MetricsWriter writer(path, 0);
  EXPECT_EQ(error_of([&] { writer.validation(1, 1); }),
            path.string() + ": cannot write: No space left on device; free some space");
}

}  // namespace
}  // namespace folio
