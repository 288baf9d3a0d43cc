// Reads metrics.jsonl in bounded memory, even if it is long or damaged.
#pragma once

#include <cstdint>
#include <filesystem>
#include <limits>
#include <string_view>
#include <vector>

namespace folio {

/// The values of a line; NaN if they are missing or null.
struct MetricsLine {
  static constexpr double missing = std::numeric_limits<double>::quiet_NaN();
  int64_t step = -1;
  double train_loss = missing, lr = missing, grad_norm = missing, tokens_per_second = missing;
  double val_loss = missing;
  int nulls = 0;  // values that are null, NaN or infinite
};

/// Fills `line` and returns true, unless `text` is not a JSON object with an integer "step" of at
/// least 0. NaN and Infinity, as Python writes them, are read as null. Other keys are ignored.
bool parse_metrics_line(std::string_view text, MetricsLine& line);

/// Mean, minimum and maximum over consecutive steps.
struct MetricsPoint {
  double step = 0.0;     // mean
  double seconds = 0.0;  // mean of the training time after each step
  double mean = 0.0, low = 0.0, high = 0.0;
  int64_t count = 0;
};

/// A series of any length in at most `most_points` points. If there are more steps, each point
/// aggregates 2^k consecutive steps.
class MetricsSeries {
 public:
  explicit MetricsSeries(int64_t most_points) : most_points_(most_points) {}
  /// Ignores a value that is not finite.
  void add(int64_t step, double seconds, double value);
  std::vector<MetricsPoint> points() const;
  bool empty() const { return last_step_ < 0; }
  int64_t last_step() const { return last_step_; }
  double last_value() const { return last_value_; }
  /// The minimum and its step.
  double best_value() const { return best_value_; }
  int64_t best_step() const { return best_step_; }

 private:
  int64_t most_points_;
  int64_t width_ = 1;                  // steps per bucket
  std::vector<MetricsPoint> buckets_;  // with sums instead of means
  int64_t last_step_ = -1, best_step_ = -1;
  double last_value_ = MetricsLine::missing;
  double best_value_ = std::numeric_limits<double>::infinity();
};

/// The contents of a file.
struct Metrics {
  explicit Metrics(int64_t most_points);
  MetricsSeries train_loss, val_loss, lr, grad_norm, tokens_per_second;
  int64_t lines = 0;       // valid ones
  int64_t unreadable = 0;  // invalid lines
  int64_t nulls = 0;
  int64_t last_step = 0;
  double seconds = 0.0;  // of training, without evaluations and samples
};

/// Reads `path` line by line. The time of a step is computed from its tokens per second, or is that
/// of the previous step if they are missing. tokens_per_step is the number of tokens of the whole
/// batch. Throws Error if the file cannot be read.
Metrics read_metrics(const std::filesystem::path& path, int64_t tokens_per_step,
                     int64_t most_points = 300);

}  // namespace folio
