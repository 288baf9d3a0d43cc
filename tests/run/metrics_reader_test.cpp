#include "folio/run/metrics_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include "folio/run/metrics.h"
#include "folio/tensor/error.h"
#include "support/temporary.h"

namespace folio {
namespace {

using ::testing::HasSubstr;

class MetricsReader : public ::testing::Test {
 protected:
  Metrics read(std::string_view text, int64_t most_points = 300) {
    write_file(path, text);
    return read_metrics(path, /*tokens_per_step=*/100, most_points);
  }
  TemporaryDirectory directory;
  std::filesystem::path path = directory.path() / "metrics.jsonl";
};

TEST_F(MetricsReader, ReadsWhatTheWriterWrites) {
  {
    MetricsWriter writer(path, 0);
    writer.train(1, 4.25, 1e-3, 0.5, 50);
    writer.train(2, 4.0, 2e-3, 0.25, 200);
    writer.validation(2, 4.5);
  }
  const Metrics metrics = read_metrics(path, 100);
  EXPECT_EQ(metrics.lines, 3);
  EXPECT_EQ(metrics.unreadable, 0);
  EXPECT_EQ(metrics.last_step, 2);
  EXPECT_DOUBLE_EQ(metrics.seconds, 100.0 / 50 + 100.0 / 200);
  ASSERT_EQ(metrics.train_loss.points().size(), 2u);
  EXPECT_EQ(metrics.train_loss.points()[1].mean, 4.0);
  EXPECT_EQ(metrics.lr.points()[1].mean, 2e-3);
  EXPECT_EQ(metrics.grad_norm.points()[0].mean, 0.5);
  EXPECT_EQ(metrics.tokens_per_second.points()[1].mean, 200.0);
  ASSERT_EQ(metrics.val_loss.points().size(), 1u);
  EXPECT_EQ(metrics.val_loss.points()[0].step, 2.0);
  EXPECT_DOUBLE_EQ(metrics.val_loss.points()[0].seconds, 2.5);
}

TEST_F(MetricsReader, StepsBetweenLinesTakeTheirTimeToo) {
  const Metrics metrics = read("{\"step\":10,\"tokens_per_second\":100}\n{\"step\":20}\n");
  EXPECT_DOUBLE_EQ(metrics.seconds, 20.0);
}

TEST_F(MetricsReader, ATornLastLineIsCountedAndLeftOut) {
  const std::string whole = "{\"step\":1,\"val_loss\":1.5}\n";
  const std::string last = "{\"step\":2,\"val_loss\":2.5}";
  for (size_t length = 1; length < last.size(); ++length) {
    const Metrics metrics = read(whole + last.substr(0, length));
    EXPECT_EQ(metrics.lines, 1) << length;
    EXPECT_EQ(metrics.unreadable, 1) << length;
    EXPECT_EQ(metrics.val_loss.last_value(), 1.5) << length;
  }
  EXPECT_EQ(read(whole + last).lines, 2);
}

TEST_F(MetricsReader, WhatIsNotFiniteIsCountedAndLeftOut) {
  const Metrics metrics = read(
      "{\"step\":1,\"train_loss\":null,\"lr\":0.5}\n{\"step\":2,\"train_loss\":NaN}\n"
      "{\"step\":3,\"train_loss\":-Infinity,\"val_loss\": Infinity}\n"
      "{\"step\":4,\"train_loss\":2}\n{\"step\":5,\"train_loss\":1e999}\n");
  EXPECT_EQ(metrics.nulls, 4);
  EXPECT_EQ(metrics.unreadable, 1);  // 1e999 is more than a double holds, and no JSON number to it
  ASSERT_EQ(metrics.train_loss.points().size(), 1u);
  EXPECT_EQ(metrics.train_loss.points()[0].step, 4.0);
  EXPECT_EQ(metrics.lr.points().size(), 1u);
  EXPECT_TRUE(metrics.val_loss.empty());
}

TEST_F(MetricsReader, WhatIsNoMetricsIsPassedOver) {
  const Metrics metrics = read(
      "[]\nnull\n7\n\"step\"\n{}\n{\"step\":-1}\n{\"step\":1.5}\n{\"step\":\"1\"}\n"
      "{\"x\":{\"step\":1}}\n{\"step\":18446744073709551615}\n\n  \n" +
      std::string(40, '\0') + "\n{\"step\":1,\"a\":" + std::string(1000, '[') + "\n" +
      std::string(1 << 17, 'x') + "\n{\"step\":3,\"train_loss\":{\"val_loss\":9},\"lr\":1}\n");
  EXPECT_EQ(metrics.lines, 1);
  EXPECT_EQ(metrics.unreadable, 13);
  EXPECT_TRUE(metrics.train_loss.empty());
  EXPECT_TRUE(metrics.val_loss.empty());
  EXPECT_EQ(metrics.lr.last_value(), 1.0);
}

TEST_F(MetricsReader, AnEmptyFileHasNothing) {
  const Metrics metrics = read("");
  EXPECT_EQ(metrics.lines, 0);
  EXPECT_EQ(metrics.unreadable, 0);
  EXPECT_TRUE(metrics.train_loss.points().empty());
}

TEST_F(MetricsReader, AFileThatIsMissingIsAnError) {
  EXPECT_THAT(error_of([&] { read_metrics(directory.path() / "no.jsonl", 1); }),
              HasSubstr("no.jsonl: cannot open"));
}

TEST(MetricsSeries, KeepsMeanAndRangeInBoundedPoints) {
  MetricsSeries series(8);
  for (int64_t step = 1; step <= 1000; ++step) {
    series.add(step, static_cast<double>(step) * 2.0, static_cast<double>(step % 10));
  }
  const std::vector<MetricsPoint> points = series.points();
  EXPECT_LE(points.size(), 8u);
  EXPECT_GE(points.size(), 4u);
  int64_t count = 0;
  double sum = 0.0;
  for (const MetricsPoint& point : points) {
    EXPECT_EQ(point.low, 0.0);
    EXPECT_EQ(point.high, 9.0);
    EXPECT_DOUBLE_EQ(point.seconds, 2.0 * point.step);
    count += point.count;
    sum += point.mean * static_cast<double>(point.count);
  }
  EXPECT_EQ(count, 1000);
  EXPECT_NEAR(sum, 4500.0, 1e-9);
  EXPECT_EQ(series.last_step(), 1000);
  EXPECT_EQ(series.best_value(), 0.0);
  EXPECT_EQ(series.best_step(), 10);
}

TEST(MetricsSeries, StepsMayBeFarApart) {
  MetricsSeries series(4);
  series.add(0, 0.0, 1.0);
  series.add(int64_t{1} << 40, 1.0, 2.0);
  ASSERT_EQ(series.points().size(), 2u);
  EXPECT_EQ(series.points()[1].mean, 2.0);
}

// A sanitizer keeps what is given back, to see it used again, and shadows of all memory: there the
// resident set says nothing about the program.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool sanitized = true;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
constexpr bool sanitized = true;
#else
constexpr bool sanitized = false;
#endif
#else
constexpr bool sanitized = false;
#endif

/// The largest resident set of this process so far, in bytes.
int64_t peak_memory() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmHWM:")) return std::stoll(line.substr(6)) * 1024;
  }
  return 0;
}

TEST_F(MetricsReader, ALongFileTakesNoMoreMemory) {
  constexpr int64_t steps = 300'000;
  {
    std::ofstream file(path);
    for (int64_t step = 1; step <= steps; ++step) {
      file << "{\"step\":" << step << ",\"train_loss\":" << 1.0 / static_cast<double>(step)
           << ",\"lr\":0.001,\"grad_norm\":0.5,\"tokens_per_second\":1000.0}\n";
    }
  }
  const int64_t before = peak_memory();
  const Metrics metrics = read_metrics(path, 100);
  EXPECT_EQ(metrics.lines, steps);
  EXPECT_LE(metrics.train_loss.points().size(), 300u);
  EXPECT_NEAR(metrics.seconds, 30'000.0, 1.0);
  if (!sanitized) {
    EXPECT_LT(peak_memory() - before, 8 << 20);  // the file has 27 MB
  }
}

}  // namespace
}  // namespace folio
