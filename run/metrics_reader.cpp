#include "folio/run/metrics_reader.h"

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "folio/io/files.h"

namespace folio {
namespace {

using Json = nlohmann::json;

constexpr size_t longest_line = 1 << 16;            // longer lines are invalid
constexpr int64_t largest_step = int64_t{1} << 40;  // larger ones are invalid

/// Stores the numbers of a flat object during parsing, without building a tree, since a file can
/// have millions of lines.
class LineHandler : public nlohmann::json_sax<Json> {
 public:
  explicit LineHandler(MetricsLine& line) : line_(line) {}

  bool null() override { return value(MetricsLine::missing); }
  bool boolean(bool) override { return other(); }
  bool number_integer(number_integer_t number) override { return whole(number); }
  bool number_unsigned(number_unsigned_t number) override {
    return whole(number > static_cast<uint64_t>(largest_step) ? largest_step + 1
                                                              : static_cast<int64_t>(number));
  }
  bool number_float(number_float_t number, const string_t&) override { return value(number); }
  bool string(string_t&) override { return other(); }
  bool binary(binary_t&) override { return other(); }
  bool start_object(size_t) override {
    target_ = nullptr;
    is_step_ = false;
    return ++depth_ <= most_depth;
  }
  bool end_object() override { return --depth_, true; }
  bool start_array(size_t) override { return depth_ > 0 && start_object(0); }
  bool end_array() override { return end_object(); }
  bool key(string_t& name) override {
    is_step_ = depth_ == 1 && name == "step";
    target_ = depth_ == 1 ? find(name) : nullptr;
    return true;
  }
  bool parse_error(size_t, const std::string&, const Json::exception&) override { return false; }

 private:
  static constexpr int most_depth = 64;

  double* find(std::string_view name) {
    if (name == "train_loss") return &line_.train_loss;
    if (name == "val_loss") return &line_.val_loss;
    if (name == "lr") return &line_.lr;
    if (name == "grad_norm") return &line_.grad_norm;
    if (name == "tokens_per_second") return &line_.tokens_per_second;
    return nullptr;
  }
  bool whole(int64_t number) {
    if (depth_ == 1 && is_step_) line_.step = number;
    return value(static_cast<double>(number));
  }
  bool value(double number) {
    if (depth_ == 0) return false;
    if (target_ != nullptr) {
      *target_ = std::isfinite(number) ? number : MetricsLine::missing;
      line_.nulls += !std::isfinite(number);
    }
    return other();
  }
  bool other() {
    target_ = nullptr;
    is_step_ = false;
    return depth_ > 0;
  }

  MetricsLine& line_;
  int depth_ = 0;
  double* target_ = nullptr;
  bool is_step_ = false;
};

/// Replaces NaN and infinity, as some JSON writers write them, by null.
std::string with_nulls(std::string_view text) {
  std::string result(text);
  for (const std::string_view word :
       {"-Infinity", "Infinity", "NaN", "-nan", "nan", "-inf", "inf"}) {
    for (size_t at = 0; (at = result.find(word, at)) != std::string::npos;) {
      const bool begins = at > 0 && (result[at - 1] == ':' || result[at - 1] == ' ');
      if (begins) result.replace(at, word.size(), "null");
      at += 1;
    }
  }
  return result;
}

bool parse(std::string_view text, MetricsLine& line) {
  line = MetricsLine();
  LineHandler handler(line);
  return Json::sax_parse(text, &handler) && line.step >= 0 && line.step <= largest_step;
}

/// Adds the sums of `from` to those of `to`.
void merge(MetricsPoint& to, const MetricsPoint& from) {
  if (from.count == 0) return;
  to.low = to.count == 0 ? from.low : std::min(to.low, from.low);
  to.high = to.count == 0 ? from.high : std::max(to.high, from.high);
  to.step += from.step;
  to.seconds += from.seconds;
  to.mean += from.mean;
  to.count += from.count;
}

struct CloseFile {
  void operator()(std::FILE* file) const { std::fclose(file); }
};

}  // namespace

bool parse_metrics_line(std::string_view text, MetricsLine& line) {
  if (parse(text, line)) return true;
  const std::string mended = with_nulls(text);
  return mended != text && parse(mended, line);
}

void MetricsSeries::add(int64_t step, double seconds, double value) {
  if (!std::isfinite(value)) return;
  for (; step / width_ >= most_points_; width_ *= 2) {
    for (size_t i = 0; i < buckets_.size(); ++i) {
      const MetricsPoint from = std::exchange(buckets_[i], {});
      merge(buckets_[i / 2], from);
    }
    buckets_.resize((buckets_.size() + 1) / 2);
  }
  const auto index = static_cast<size_t>(step / width_);
  if (index >= buckets_.size()) buckets_.resize(index + 1);
  merge(buckets_[index], {static_cast<double>(step), seconds, value, value, value, 1});
  if (step >= last_step_) {
    last_step_ = step;
    last_value_ = value;
  }
  if (value < best_value_) {
    best_value_ = value;
    best_step_ = step;
  }
}

std::vector<MetricsPoint> MetricsSeries::points() const {
  std::vector<MetricsPoint> result;
  for (MetricsPoint point : buckets_) {
    if (point.count == 0) continue;
    const auto count = static_cast<double>(point.count);
    point.step /= count;
    point.seconds /= count;
    point.mean /= count;
    result.push_back(point);
  }
  return result;
}

Metrics::Metrics(int64_t most_points)
    : train_loss(most_points),
      val_loss(most_points),
      lr(most_points),
      grad_norm(most_points),
      tokens_per_second(most_points) {}

Metrics read_metrics(const std::filesystem::path& path, int64_t tokens_per_step,
                     int64_t most_points) {
  const std::unique_ptr<std::FILE, CloseFile> file(std::fopen(path.c_str(), "re"));
  if (!file) fail_system(path, "open", errno);
  Metrics metrics(most_points);
  MetricsLine line;
  double seconds_per_step = 0.0;
  const auto take = [&](std::string_view text) {
    if (text.find_first_not_of(" \t\r") == std::string_view::npos) return;
    if (!parse_metrics_line(text, line)) {
      ++metrics.unreadable;
      return;
    }
    ++metrics.lines;
    metrics.nulls += line.nulls;
    if (line.tokens_per_second > 0.0) {
      seconds_per_step = static_cast<double>(tokens_per_step) / line.tokens_per_second;
    }
    if (line.step > metrics.last_step) {
      metrics.seconds += static_cast<double>(line.step - metrics.last_step) * seconds_per_step;
      metrics.last_step = line.step;
    }
    metrics.train_loss.add(line.step, metrics.seconds, line.train_loss);
    metrics.val_loss.add(line.step, metrics.seconds, line.val_loss);
    metrics.lr.add(line.step, metrics.seconds, line.lr);
    metrics.grad_norm.add(line.step, metrics.seconds, line.grad_norm);
    metrics.tokens_per_second.add(line.step, metrics.seconds, line.tokens_per_second);
  };
  std::string pending;
  bool too_long = false;
  std::vector<char> buffer(1 << 16);
  while (const size_t read = std::fread(buffer.data(), 1, buffer.size(), file.get())) {
    std::string_view rest(buffer.data(), read);
    while (!rest.empty()) {
      const size_t end = rest.find('\n');
      const std::string_view part = rest.substr(0, end);
      too_long |= pending.size() + part.size() > longest_line;
      if (!too_long) pending.append(part);
      if (end == std::string_view::npos) break;
      too_long ? void(++metrics.unreadable) : take(pending);
      pending.clear();
      too_long = false;
      rest.remove_prefix(end + 1);
    }
  }
  if (std::ferror(file.get()) != 0) fail_system(path, "read", errno);
  too_long ? void(++metrics.unreadable) : take(pending);
  return metrics;
}

}  // namespace folio
