// What a report states in words and figures: model, data, training, machine.
#pragma once

#include <string>
#include <vector>

#include "folio/report/report_data.h"

namespace folio {

/// The figures at the head of a page, a <dl> a run.
std::string report_headlines(const std::vector<ReportRun>& runs);

/// A sentence that introduces the runs, as HTML.
std::string report_introduction(const std::vector<ReportRun>& runs);

/// Tables of facts, a column a run; what differs between runs is marked.
std::string report_facts(const std::vector<ReportRun>& runs);

/// What was missing or could not be read, as HTML; empty if nothing was.
std::string report_notes(const std::vector<ReportRun>& runs);

/// "4 layers of width 128" and the like need the plural.
std::string counted(int64_t number, std::string_view singular);

}  // namespace folio
