// The plots of a report. All combinations of axes are drawn, so switching needs no script.
#pragma once

#include <string>
#include <vector>

#include "folio/inspect/reference_band.h"
#include "folio/report/data.h"

namespace folio {

/// A <section> with switches, plots with links to save them, and tables of their numbers.
std::string report_plots(const std::vector<ReportRun>& runs,
                         const std::vector<ReferenceBand>& references);

/// The values for plot.js as JSON that is safe in a <script> element:
/// {"loss": [{"name": ..., "color": 0, "points": [[step, tokens, seconds, value], ...]}, ...], ...}
std::string report_plot_data(const std::vector<ReportRun>& runs,
                             const std::vector<ReferenceBand>& references);

}  // namespace folio
