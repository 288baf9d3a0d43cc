// metrics.jsonl: the metrics of a run, one JSON object per line. Numbers are written so that they
// read back as the same double; NaN and infinity are null.
#pragma once

#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <string>
#include <string_view>

namespace folio {

/// The lines of `text` with a "step" of at most `last`, unchanged. Incomplete and invalid lines are
/// removed.
std::string lines_until(std::string_view text, int64_t last);

/// The largest "step" in the lines of `text`; -1 if there is none.
int64_t last_step_in(std::string_view text);

class MetricsWriter {
 public:
  /// Appends to `path`, after removing invalid lines and those of steps after `after_step`, the
  /// step from which a run is resumed. All members throw Error as fail_system() does.
  MetricsWriter(const std::filesystem::path& path, int64_t after_step);
  ~MetricsWriter();
  MetricsWriter(const MetricsWriter&) = delete;
  MetricsWriter& operator=(const MetricsWriter&) = delete;

  /// {"step":…,"train_loss":…,"lr":…,"grad_norm":…,"tokens_per_second":…}
  void train(int64_t step, double loss, double lr, double gradient_norm, double tokens_per_second);
  /// {"step":…,"train_loss":null,"lr":…,"grad_norm":…,"skipped":"REASON"}
  void skipped(int64_t step, double lr, double gradient_norm, std::string_view reason);
  /// {"step":…,"val_loss":…}
  void validation(int64_t step, double loss);
  /// Flushes to the disk, so that no line is lost even if the machine stops.
  void sync();

 private:
  void line(const std::string& text);

  std::filesystem::path path_;
  std::FILE* file_ = nullptr;
};

}  // namespace folio
