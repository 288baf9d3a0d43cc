// What a report says about a run, gathered from its directory.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "folio/inspect/plan.h"
#include "folio/run/config.h"
#include "folio/run/metrics_reader.h"

namespace folio {

struct ReportSample {
  int64_t step = 0;
  std::string text;  // with its prompt
};

/// What the text and its split are, where that could be found out.
struct ReportText {
  std::string path;
  int64_t bytes = 0;
  std::string hash;
  int64_t characters = 0, tokens = 0, train_tokens = 0;  // 0: the text is gone
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
  Config config;             // model.vocabulary is 0 where it could not be found out
  std::optional<Plan> plan;  // where the vocabulary is known
  Metrics metrics;
  std::vector<ReportSample> samples;  // by step; at most most_samples
  int64_t samples_left_out = 0;
  ReportText text;
  std::vector<std::pair<std::string, std::string>> machine;
  std::optional<ReportSpan> span;  // longest stretch of the last sample that the text has too

  int64_t tokens_per_step() const { return config.train.batch * config.model.context; }
};

constexpr size_t most_samples = 8;

/// Reads runs. Throws Error for a directory that is no run or has no metrics.jsonl that can be
/// read; whatever else is missing is left empty.
std::vector<ReportRun> read_runs(const std::vector<std::filesystem::path>& directories);

}  // namespace folio
