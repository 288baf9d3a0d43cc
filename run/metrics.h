// metrics.jsonl: one JSON object per line, appended during the run. Numbers read back to the same
// double. Values that are not finite are null, because JSON cannot represent them.
#pragma once

#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <string>
#include <string_view>

namespace folio {

/// The lines of `text` that a run keeps when it resumes after step `last`: byte for byte those with
/// a "step" of at most `last`. Torn and otherwise unreadable lines are left out, for any text.
std::string lines_until(std::string_view text, int64_t last);

/// The last step in the lines of `text`; -1 if there is none.
int64_t last_step_in(std::string_view text);

class MetricsWriter {
 public:
  /// Appends to `path`. When a run resumes after `after_step`, lines of later steps (written after
  /// the checkpoint that it resumes from) and torn ones are removed first, by writing a new file
  /// and renaming it. All members throw Error with the path and the system's reason.
  MetricsWriter(const std::filesystem::path& path, int64_t after_step);
  ~MetricsWriter();
  MetricsWriter(const MetricsWriter&) = delete;
  MetricsWriter& operator=(const MetricsWriter&) = delete;

  /// {"step":…,"train_loss":…,"lr":…,"grad_norm":…,"tokens_per_second":…}
  void train(int64_t step, double loss, double lr, double gradient_norm, double tokens_per_second);
  /// {"step":…,"train_loss":null,"lr":…,"grad_norm":…,"skipped":"…"} for a refused update.
  void skipped(int64_t step, double lr, double gradient_norm, std::string_view reason);
  /// {"step":…,"val_loss":…}
  void validation(int64_t step, double loss);
  /// Flushes what was written to the disk. Without it a killed run loses no line, but a machine
  /// that stops may.
  void sync();

 private:
  void line(const std::string& text);

  std::filesystem::path path_;
  std::FILE* file_ = nullptr;
};

}  // namespace folio
