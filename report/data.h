// Collects the data of a report from run directories.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "folio/inspect/plan.h"
#include "folio/run/config.h"
#include "folio/run/metrics_reader.h"

namespace folio {

struct ReportSample {
  int64_t step = 0;
  std::string text;  // with its prompt
};

/// The text and its split, as far as they are known.
struct ReportText {
  std::string path;
  int64_t bytes = 0;
  std::string hash;
  int64_t characters = 0, tokens = 0, train_tokens = 0;  // 0 if the text is missing
  std::string why_unknown;
};

struct ReportSpan {
  int64_t sample_step = 0;
  int64_t characters = 0;
  std::string text;
};

struct ReportRun {
  std::filesystem::path directory;
  std::string name;
  Config config;
  int64_t vocabulary = 0;    // 0 if it is unknown
  std::optional<Plan> plan;  // only if the vocabulary is known
  Metrics metrics;
  std::vector<ReportSample> samples;  // by step, at most most_samples
  int64_t samples_left_out = 0;
  ReportText text;
  std::vector<std::pair<std::string, std::string>> machine;
  std::optional<ReportSpan> span;  // longest verbatim span of the last sample

  int64_t tokens_per_step() const { return config.train.batch * config.model.context(); }
};

constexpr size_t most_samples = 8;

/// Reads runs. Throws Error for a directory that is not a run or has no readable metrics.jsonl.
/// Anything else that is missing is left empty.
std::vector<ReportRun> read_runs(const std::vector<std::filesystem::path>& directories);

}  // namespace folio
