// The plots of a report: every axis drawn once, so that switching needs no script.
#pragma once

#include <string>
#include <vector>

#include "folio/inspect/reference_band.h"
#include "folio/report/report_data.h"

namespace folio {

/// Switches, plots with links to save them, and their numbers as tables: a <section>.
std::string report_plots(const std::vector<ReportRun>& runs,
                         const std::vector<ReferenceBand>& references);

/// What the script reads values from, as JSON that may stand in a <script> element:
/// {"loss": [{"name": ..., "color": 0, "points": [[step, tokens, seconds, value], ...]}, ...], ...}
std::string report_plot_data(const std::vector<ReportRun>& runs,
                             const std::vector<ReferenceBand>& references);

}  // namespace folio
