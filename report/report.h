// The `report` verb: an HTML page about runs.
#pragma once

#include <filesystem>
#include <vector>

namespace folio {

struct ReportOptions {
  std::vector<std::filesystem::path> runs;
  std::filesystem::path out;  // empty: report.html in the run, or here for several
  std::vector<std::filesystem::path> references;  // files of benchmarks/reference/
};

/// Writes the page and returns where it is. Throws Error before anything is written.
std::filesystem::path write_report(const ReportOptions& options);

}  // namespace folio
