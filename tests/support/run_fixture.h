// A folder with a text and a config in which tests train small runs.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "folio/inspect/run_hooks.h"
#include "support/temporary.h"
#include "support/tiny_run.h"

namespace folio {

/// Every file below a directory, by its relative name.
inline std::map<std::string, std::string> files_in(const std::filesystem::path& directory) {
  std::map<std::string, std::string> files;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(directory)) {
    if (entry.is_regular_file()) {
      files[std::filesystem::relative(entry.path(), directory).string()] = read_text(entry.path());
    }
  }
  return files;
}

/// metrics.jsonl without what depends on the clock.
inline std::vector<nlohmann::json> metrics_of(const std::filesystem::path& run) {
  std::vector<nlohmann::json> lines;
  std::ifstream file(run / "metrics.jsonl");
  for (std::string line; std::getline(file, line);) {
    lines.push_back(nlohmann::json::parse(line));
    lines.back().erase("tokens_per_second");
  }
  return lines;
}

class RunTest : public ::testing::Test {
 protected:
  RunTest() {
    write_file(text_, tiny_text());
    write_file(config_, tiny_yaml(text_));
  }

  /// Trains, and returns what was printed.
  std::string train_into(const std::string& run, TrainOptions options = {}) {
    if (!options.resume) options.config = config_;
    options.run = directory_.path() / run;
    testing::internal::CaptureStdout();
    try {
      train(options, inspecting_hooks());
    } catch (...) {
      testing::internal::GetCapturedStdout();
      throw;
    }
    return testing::internal::GetCapturedStdout();
  }

  std::filesystem::path path(const std::string& name) const { return directory_.path() / name; }

  TemporaryDirectory directory_;
  std::filesystem::path text_ = directory_.path() / "text.txt";
  std::filesystem::path config_ = directory_.path() / "tiny.yaml";
  const std::vector<std::string> keep_ = {"train.checkpoint_every=10"};
};

}  // namespace folio
