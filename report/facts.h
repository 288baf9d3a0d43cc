// The facts of a report: model, data, training and machine.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "folio/report/data.h"

namespace folio {

/// The heading of a run with the color of its curves, or "" if there is only one run. `element` is
/// "h2" or "h3".
std::string run_heading(const std::vector<ReportRun>& runs, const ReportRun& run,
                        std::string_view element);

/// The headline figures, one <dl> per run.
std::string report_headlines(const std::vector<ReportRun>& runs);

/// A sentence of HTML that introduces the runs.
std::string report_introduction(const std::vector<ReportRun>& runs);

/// Tables of facts with a column per run. Differences between runs are marked.
std::string report_facts(const std::vector<ReportRun>& runs);

/// A list of what is missing or could not be read, as HTML; empty if nothing is.
std::string report_notes(const std::vector<ReportRun>& runs);

/// "4 layers of width 128" and the like need the plural.
std::string counted(int64_t number, std::string_view singular);

}  // namespace folio
