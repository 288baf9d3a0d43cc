// The HTML page of a report. It is self-contained and readable without scripts, on phones and on
// paper.
#pragma once

#include <string>
#include <vector>

#include "folio/inspect/reference_band.h"
#include "folio/report/data.h"

namespace folio {

std::string report_page(const std::vector<ReportRun>& runs,
                        const std::vector<ReferenceBand>& references);

}  // namespace folio
