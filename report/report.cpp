#include "folio/report/report.h"

#include "folio/inspect/reference_band.h"
#include "folio/io/files.h"
#include "folio/report/data.h"
#include "folio/report/page.h"
#include "folio/tensor/error.h"

namespace folio {

std::filesystem::path write_report(const ReportOptions& options) {
  FOLIO_CHECK(!options.runs.empty(), "report", "no run is given; name at least one");
  const std::vector<ReportRun> runs = read_runs(options.runs);
  std::vector<ReferenceBand> references;
  for (const auto& path : options.references) references.push_back(read_reference(path));
  std::filesystem::path out = options.out;
  if (out.empty()) out = runs.size() == 1 ? options.runs.front() / "report.html" : "report.html";
  FOLIO_CHECK(!std::filesystem::is_directory(out), out.string(),
              "is a directory; name a file with --out");
  replace_durably(out, report_page(runs, references));
  return out;
}

}  // namespace folio
